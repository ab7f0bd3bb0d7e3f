//! A disk that fails and comes back, step by step.

use std::fs::File;
use std::path::{Path, PathBuf};

use prometheus::Registry;
use serde_json::Value;

use super::*;

struct Bench {
    folder: tempfile::TempDir,
    audit: Audit,
    writer: Writer,
    metrics: Metrics,
}

impl Bench {
    fn new(on_failure: OnFailure) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.jsonl");
        let (log, _) = LogFile::open(&file, 0).unwrap();
        let settings = AuditSettings {
            file: Some(file),
            on_failure,
            queue_records: 2,
            sync: Duration::ZERO,
            rotate_bytes: 0,
        };
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let (open, writer) = Open::new(log, &settings, &metrics);
        Self { folder, audit: Audit(Some(open)), writer, metrics }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    /// Nothing can be written from here on.
    fn fill_disk(&mut self) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        self.writer.log_mut().swap(full);
    }

    fn empty_disk(&mut self) {
        let good = File::options().write(true).open(self.path()).unwrap();
        self.writer.log_mut().swap(good);
    }

    fn events(&self) -> Vec<String> {
        check_file(&self.path()).unwrap();
        events(&self.path())
    }
}

fn events(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let event = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let lost = line["lost"].as_u64().map(|lost| format!(" {lost}"));
        line["event"].as_str().unwrap().to_owned() + &lost.unwrap_or_default()
    };
    text.lines().map(event).collect()
}

fn event() -> Event {
    Event::KeysRefused {}
}

#[test]
fn a_log_that_fails_closed_refuses_and_loses_nothing() {
    let mut bench = Bench::new(OnFailure::Closed);
    let admitted = bench.audit.reserve().unwrap();
    bench.fill_disk();
    bench.audit.reserve().unwrap().fill(event());
    bench.writer.step();
    let code = |audit: &Audit| audit.reserve().map(drop).map_err(|error| error.code());
    assert_eq!(code(&bench.audit), Err(Code::AuditUnavailable));
    assert!(bench.audit.refuses());
    assert_eq!(bench.metrics.audit_failing.get(), 1);
    // What was admitted before is kept until it can be written.
    admitted.fill(event());
    bench.writer.step();
    bench.empty_disk();
    bench.writer.step();
    assert_eq!(code(&bench.audit), Ok(()));
    assert_eq!(bench.events(), ["opened", "keys_refused", "keys_refused"]);
    assert_eq!((bench.metrics.audit_lost.get(), bench.metrics.audit_failing.get()), (0, 0));
}

#[test]
fn a_log_that_fails_open_lets_pass_and_tells_how_many_it_lost() {
    let mut bench = Bench::new(OnFailure::Open);
    bench.fill_disk();
    for _ in 0..5 {
        bench.audit.reserve().unwrap().fill(event());
        bench.writer.step();
    }
    assert!(!bench.audit.refuses());
    assert_eq!((bench.metrics.audit_lost.get(), bench.metrics.audit_failing.get()), (3, 1));
    bench.empty_disk();
    bench.writer.step();
    bench.writer.step();
    assert_eq!(bench.events(), ["opened", "keys_refused", "keys_refused", "gap 3"]);
    bench.audit.reserve().unwrap().fill(event());
    bench.writer.step();
    assert_eq!(bench.events().len(), 5);
}

#[test]
fn a_place_that_is_not_needed_is_free_again_and_without_one_requests_are_refused() {
    let bench = Bench::new(OnFailure::Closed);
    let places = [(); 2].map(|()| bench.audit.reserve().unwrap());
    assert!(bench.audit.reserve().is_err());
    assert!(!bench.audit.refuses(), "a full queue is over soon");
    drop(places);
    assert!(bench.audit.reserve().is_ok());
}

#[test]
fn without_a_file_nothing_is_kept_and_nobody_refused() {
    let settings = AuditSettings {
        file: None,
        on_failure: OnFailure::Closed,
        queue_records: 1,
        sync: Duration::ZERO,
        rotate_bytes: 0,
    };
    let audit = Audit::start(&settings, &Metrics::new(&Registry::new()).unwrap()).unwrap();
    audit.reserve().unwrap().fill_and_wait(event());
    assert!(audit.reserve().is_ok() && !audit.is_on());
    audit.close();
}

#[test]
fn who_waits_is_told_when_the_record_is_on_the_disk_and_the_end_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let settings = AuditSettings {
        file: Some(file.clone()),
        on_failure: OnFailure::Closed,
        queue_records: 8,
        sync: Duration::from_secs(3_600),
        rotate_bytes: 0,
    };
    let audit = Audit::start(&settings, &Metrics::new(&Registry::new()).unwrap()).unwrap();
    audit.reserve().unwrap().fill_and_wait(event());
    assert_eq!(events(&file), ["opened", "started", "keys_refused"]);
    audit.reserve().unwrap().fill(event());
    audit.close();
    assert_eq!(events(&file)[3..], ["keys_refused", "stopped"]);
    check_file(&file).unwrap();
}

#[test]
fn times_are_written_as_rfc_3339_in_milliseconds() {
    assert_eq!(time(Duration::from_millis(1_700_000_000_120)), "2023-11-14T22:13:20.12Z");
}
