//! Black-box tests of the gateway, and what programs that treat it badly share.

pub mod chance;
pub mod crash;
pub mod gateway;
pub mod http;
