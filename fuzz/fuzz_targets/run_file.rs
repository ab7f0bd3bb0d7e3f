//! Run files, of one's own and in anybody's card: no text makes their reader panic, and what is
//! wrong is named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unlearn::card::run_table;
use unlearn::training::Run;

fuzz_target!(|text: &str| {
    if let Err(error) = Run::parse(text) {
        assert!(!error.0.is_empty(), "a fault is named");
    }
    if let Ok(table) = run_table(text) {
        let _ = Run::read(table);
    }
});
