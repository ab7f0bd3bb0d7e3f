//! Nothing outside the adapter root is read, and nothing that is too large.

use std::path::Path;

use adapters::lora::{Lora, LoraError};
use adapters::{AdapterError, CatalogueError, Expected, FolderError, Limits};
use tempfile::TempDir;

use crate::fixture::{BASE, Draft, catalogue, name};

/// A root with one good adapter, and another beside the root.
fn house() -> (TempDir, std::path::PathBuf) {
    let house = tempfile::tempdir().unwrap();
    let root = house.path().join("root");
    Draft::new(0).write(&root.join("good"));
    Draft::new(1).write(&house.path().join("outside"));
    (house, root)
}

fn fault(root: &Path, source: &str) -> FolderError {
    match catalogue(root).load(&name("x"), source, Expected::Any) {
        Err(CatalogueError::Adapter(AdapterError::Folder(error))) => error,
        other => panic!("{source:?}: {other:?}"),
    }
}

#[test]
fn sources_that_climb_or_are_absolute_are_refused() {
    let (house, root) = house();
    let absolute = house.path().join("outside");
    let inside = root.join("good");
    for source in [
        "",
        ".",
        "..",
        "/",
        "../outside",
        "good/../../outside",
        "good/..",
        "./good",
        "good\0",
        "good\n",
        "/etc/passwd",
        absolute.to_str().unwrap(),
        inside.to_str().unwrap(),
        &"x/".repeat(1000),
    ] {
        assert!(matches!(fault(&root, source), FolderError::Source), "{source:?}");
    }
    catalogue(&root).load(&name("x"), "good", Expected::Any).unwrap();
}

#[test]
fn a_source_that_is_no_folder_is_missing() {
    let (_house, root) = house();
    std::fs::write(root.join("file"), "").unwrap();
    for source in ["none", "file", "good/adapter_config.json", "file/below"] {
        assert!(matches!(fault(&root, source), FolderError::Missing), "{source}");
    }
}

#[cfg(unix)]
#[test]
fn symbolic_links_out_of_the_root_are_refused() {
    use std::os::unix::fs::symlink;

    let (house, root) = house();
    symlink(house.path().join("outside"), root.join("link")).unwrap();
    assert!(matches!(fault(&root, "link"), FolderError::Outside));
    symlink("..", root.join("up")).unwrap();
    assert!(matches!(fault(&root, "up/outside"), FolderError::Outside));

    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let half = root.join(format!("half-{file}"));
        Draft::new(0).write(&half);
        std::fs::remove_file(half.join(file)).unwrap();
        symlink(house.path().join("outside").join(file), half.join(file)).unwrap();
        assert!(matches!(fault(&root, &format!("half-{file}")), FolderError::Outside), "{file}");
    }
    std::fs::write(house.path().join("card.json"), "{}").unwrap();
    symlink("../../card.json", root.join("good/card.json")).unwrap();
    assert!(matches!(fault(&root, "good"), FolderError::Outside));
}

#[cfg(unix)]
#[test]
fn symbolic_links_within_the_root_are_followed() {
    let (_house, root) = house();
    std::os::unix::fs::symlink("good", root.join("alias")).unwrap();
    catalogue(&root).load(&name("x"), "alias", Expected::Any).unwrap();
}

#[test]
fn an_adapter_with_only_pickled_weights_is_refused_by_name() {
    let (_house, root) = house();
    let weights = root.join("good/adapter_model.safetensors");
    std::fs::rename(weights, root.join("good/adapter_model.bin")).unwrap();
    let error = fault(&root, "good");
    assert!(matches!(error, FolderError::Pickle));
    assert!(error.to_string().contains("adapter_model.bin"));
}

#[test]
fn missing_files_are_named() {
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let (_house, root) = house();
        std::fs::remove_file(root.join("good").join(file)).unwrap();
        assert!(matches!(fault(&root, "good"), FolderError::MissingFile(f) if f == file));
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_refused() {
    let (_house, root) = house();
    let weights = root.join("good/adapter_model.safetensors");
    std::fs::remove_file(&weights).unwrap();
    std::fs::create_dir(&weights).unwrap();
    assert!(matches!(fault(&root, "good"), FolderError::NotAFile("adapter_model.safetensors")));
}

#[test]
fn files_over_their_limit_are_refused() {
    let (_house, root) = house();
    let draft = Draft::new(0);
    let exact = Limits {
        document_bytes: draft.config().len() as u64,
        weight_bytes: draft.weights().len() as u64,
        ..Limits::default()
    };
    let load = |limits| Lora::load(&root.join("good"), &BASE, &limits);
    assert!(load(exact).is_ok());
    for (limits, name) in [
        (Limits { document_bytes: exact.document_bytes - 1, ..exact }, "adapter_config.json"),
        (Limits { weight_bytes: exact.weight_bytes - 1, ..exact }, "adapter_model.safetensors"),
    ] {
        match load(limits) {
            Err(LoraError::Folder(FolderError::TooLarge { file, .. })) => assert_eq!(file, name),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn messages_hold_no_path_of_the_machine() {
    let (house, root) = house();
    std::fs::remove_file(root.join("good/adapter_config.json")).unwrap();
    for source in ["../outside", "none", "good"] {
        let message = fault(&root, source).to_string();
        assert!(!message.contains(house.path().to_str().unwrap()), "{message}");
    }
}
