//! What was loaded before a restart is loaded after it, or reported.

use std::path::{Path, PathBuf};

use adapters::{
    BaseModel, Catalogue, CatalogueError, CatalogueSettings, Expected, Limits, RestoreReason,
    ShippedFault, StateError,
};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Draft, base, name};

struct House {
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap() };
        Draft::new(0).write(&house.root().join("a"));
        Draft::new(1).write(&house.root().join("b"));
        house
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    fn open(&self) -> Result<Catalogue, CatalogueError> {
        self.open_within(Limits::default())
    }

    fn open_within(&self, limits: Limits) -> Result<Catalogue, CatalogueError> {
        let settings = CatalogueSettings { root: self.root(), state: Some(self.state()), limits };
        Catalogue::open(settings, base())
    }

    /// The state after `x` was loaded from `a` and `y` from `b`.
    fn with_two() -> Self {
        let house = Self::new();
        let catalogue = house.open().unwrap();
        catalogue.load(&name("x"), "a", Expected::Any).unwrap();
        catalogue.load(&name("y"), "b", Expected::Any).unwrap();
        house
    }
}

fn names(catalogue: &Catalogue) -> Vec<String> {
    catalogue.list().into_iter().map(|info| info.name.to_string()).collect()
}

#[test]
fn loaded_adapters_survive_a_restart() {
    let house = House::with_two();
    let before = house.open().unwrap().list();
    assert_eq!(before.len(), 2);
    let catalogue = house.open().unwrap();
    assert_eq!(catalogue.list(), before);
    assert!(catalogue.restore_faults().is_empty());
    catalogue.unload(&name("x"), Expected::Any).unwrap();
    catalogue.load(&name("y"), "a", Expected::Any).unwrap();
    let after = house.open().unwrap().list();
    assert_eq!(after, catalogue.list());
    assert_eq!(after.len(), 1);
}

#[test]
fn changed_content_is_reported_and_not_served_under_the_old_digest() {
    let house = House::with_two();
    Draft::new(2).write(&house.root().join("a"));
    let catalogue = house.open().unwrap();
    assert_eq!(names(&catalogue), ["y"]);
    let [fault] = &catalogue.restore_faults()[..] else { panic!("one fault") };
    assert_eq!((&fault.name, fault.source.as_str()), (&name("x"), "a"));
    assert!(matches!(fault.reason, RestoreReason::Changed(digest) if digest != fault.digest));
    assert!(matches!(catalogue.resolve(&name("x")), Err(CatalogueError::Unknown(_))));
}

#[test]
fn a_fault_stays_over_restarts_until_its_name_is_loaded_or_unloaded() {
    for mend in [true, false] {
        let house = House::with_two();
        std::fs::remove_dir_all(house.root().join("a")).unwrap();
        let catalogue = house.open().unwrap();
        assert!(matches!(catalogue.restore_faults()[0].reason, RestoreReason::Refused(_)));
        catalogue.load(&name("z"), "b", Expected::Any).unwrap();

        let catalogue = house.open().unwrap();
        assert_eq!(catalogue.restore_faults().len(), 1);
        if mend {
            catalogue.load(&name("x"), "b", Expected::Absent).unwrap();
        } else {
            catalogue.unload(&name("x"), Expected::Any).unwrap();
        }
        assert!(catalogue.restore_faults().is_empty());
        let catalogue = house.open().unwrap();
        assert!(catalogue.restore_faults().is_empty());
        assert_eq!(names(&catalogue).contains(&"x".to_owned()), mend);
    }
}

#[test]
fn limits_hold_at_a_restart() {
    let house = House::with_two();
    let catalogue = house.open_within(Limits { adapters: 1, ..Limits::default() }).unwrap();
    assert_eq!(names(&catalogue), ["x"]);
    assert_eq!(catalogue.restore_faults().len(), 1);
    let catalogue = house.open_within(Limits { resident_bytes: 1, ..Limits::default() }).unwrap();
    assert_eq!(catalogue.restore_faults().len(), 2);
    assert_eq!(catalogue.usage().resident_bytes, 0);
}

#[test]
fn a_damaged_state_is_an_error_and_is_left_as_it_is() {
    let good = json!({"source": "a", "digest": format!("sha256:{}", "0".repeat(64))});
    for state in [
        String::new(),
        "{}".to_owned(),
        "{\"schema\": 1, \"adapters\": {}".to_owned(),
        json!({"schema": 2, "adapters": {}}).to_string(),
        json!({"schema": 1, "adapters": {}, "extra": 0}).to_string(),
        json!({"schema": 1, "adapters": {"../x": good}}).to_string(),
        json!({"schema": 1, "adapters": {"x": {"source": "a", "digest": "00"}}}).to_string(),
        format!("{{\"schema\": 1, \"adapters\": {{\"x\": {good}, \"x\": {good}}}}}"),
    ] {
        let house = House::new();
        std::fs::write(house.state(), &state).unwrap();
        let error = house.open().unwrap_err();
        assert!(matches!(error, CatalogueError::State(_)), "{state}: {error}");
        assert_eq!(std::fs::read_to_string(house.state()).unwrap(), state);
    }
}

#[test]
fn a_state_too_large_to_be_ours_is_not_read() {
    let house = House::new();
    std::fs::File::create(house.state()).unwrap().set_len(5 << 20).unwrap();
    assert!(matches!(house.open(), Err(CatalogueError::State(StateError::TooLarge))));
}

#[test]
fn a_source_that_leaves_the_root_is_refused_from_the_state_too() {
    let house = House::with_two();
    Draft::new(0).write(&house.folder.path().join("outside"));
    let state = std::fs::read_to_string(house.state()).unwrap();
    let forged = state.replace("\"source\": \"a\"", "\"source\": \"../outside\"");
    assert_ne!(forged, state);
    std::fs::write(house.state(), forged).unwrap();
    let catalogue = house.open().unwrap();
    assert_eq!(names(&catalogue), ["y"]);
    assert_eq!(catalogue.restore_faults().len(), 1);
}

#[test]
fn a_change_that_cannot_be_recorded_is_not_made() {
    let house = House::with_two();
    let catalogue = house.open().unwrap();
    let before = (catalogue.list(), catalogue.usage());
    // A folder in the place of the state file cannot be replaced by a file.
    std::fs::remove_file(house.state()).unwrap();
    std::fs::create_dir_all(house.state().join("full")).unwrap();
    let x = name("x");
    for error in [
        catalogue.load(&x, "b", Expected::Any).unwrap_err(),
        catalogue.load(&name("new"), "b", Expected::Any).unwrap_err(),
        catalogue.unload(&x, Expected::Any).unwrap_err(),
    ] {
        assert!(matches!(error, CatalogueError::State(StateError::Write(_))), "{error}");
    }
    assert_eq!((catalogue.list(), catalogue.usage()), before);
}

#[test]
fn an_adapter_never_takes_the_name_of_another_base() {
    let house = House::with_two();
    let settings = CatalogueSettings {
        root: house.root(),
        state: Some(house.state()),
        limits: Limits::default(),
    };
    let other = BaseModel { name: "x".to_owned(), ..base() };
    let catalogue = Catalogue::open(settings, other).unwrap();
    assert_eq!(names(&catalogue), ["y"]);
    assert_eq!(catalogue.restore_faults()[0].reason.to_string(), "the name x is reserved");
}

fn add(root: &Path, folder: &str) {
    std::fs::create_dir_all(root.join(folder)).unwrap();
    std::fs::write(root.join(folder).join("adapter_config.json"), "{}").unwrap();
}

#[test]
fn shipped_adapters_are_loaded_under_their_folders_names() {
    let house = House::new();
    std::fs::create_dir(house.root().join("not-an-adapter")).unwrap();
    std::fs::write(house.root().join("README.md"), "").unwrap();
    add(&house.root(), "Upper");
    add(&house.root(), "broken");
    let catalogue = house.open().unwrap();
    let faults = catalogue.load_shipped().unwrap();
    assert_eq!(names(&catalogue), ["a", "b"]);
    assert!(matches!(
        &faults[..],
        [ShippedFault::Name { folder, .. }, ShippedFault::Refused { name: n, .. }]
            if folder == "Upper" && *n == name("broken")
    ));
}

#[test]
fn a_shipped_adapter_that_was_unloaded_stays_unloaded() {
    let house = House::new();
    let catalogue = house.open().unwrap();
    assert!(catalogue.load_shipped().unwrap().is_empty());
    catalogue.unload(&name("a"), Expected::Any).unwrap();
    let catalogue = house.open().unwrap();
    assert!(catalogue.load_shipped().unwrap().is_empty());
    assert_eq!(names(&catalogue), ["b"]);
}

#[test]
fn what_is_shipped_later_is_loaded_at_the_next_start() {
    let house = House::new();
    let aside = tempfile::tempdir().unwrap();
    std::fs::rename(house.root().join("b"), aside.path().join("b")).unwrap();
    let catalogue = house.open().unwrap();
    assert!(catalogue.load_shipped().unwrap().is_empty());
    assert_eq!(names(&catalogue), ["a"]);
    std::fs::rename(aside.path().join("b"), house.root().join("b")).unwrap();
    let catalogue = house.open().unwrap();
    assert!(catalogue.load_shipped().unwrap().is_empty());
    assert_eq!(names(&catalogue), ["a", "b"]);
}
