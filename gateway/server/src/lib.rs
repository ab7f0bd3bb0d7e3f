//! The Lethe gateway.
