//! Progress on the terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` steps.
pub(crate) fn bar(what: &'static str, length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}
