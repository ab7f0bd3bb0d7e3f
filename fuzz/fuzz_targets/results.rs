//! Results of an evaluation: no bytes make their reader panic, nor the page that shows them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unlearn::report::{Report, Results};

fuzz_target!(|bytes: &[u8]| {
    let Ok(results) = Results::parse(bytes) else { return };
    let report = Report { title: String::new(), runs: Vec::new(), results: vec![results] };
    assert!(report.page().ends_with("</html>\n"));
});
