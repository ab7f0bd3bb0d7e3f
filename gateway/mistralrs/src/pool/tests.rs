use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;

/// Builds what it is told to, when it is told to.
struct Fake {
    /// What was done, in order: `+name` and `-name`.
    log: Arc<Mutex<Vec<String>>>,
    /// A build takes one result; with nobody to give one it succeeds at once.
    results: Option<Mutex<Receiver<Result<(), BuildError>>>>,
}

impl Workshop for Fake {
    type Recipe = &'static str;
    type Variant = &'static str;

    fn build(&self, _: Digest, name: &&'static str) -> Result<&'static str, BuildError> {
        assert_ne!(*name, "panic", "as told");
        if let Some(results) = &self.results {
            results.lock().expect("whole").recv().expect("a result")?;
        }
        self.log.lock().expect("whole").push(format!("+{name}"));
        Ok(name)
    }

    fn unload(&self, name: &&'static str) {
        self.log.lock().expect("whole").push(format!("-{name}"));
    }
}

type Log = Arc<Mutex<Vec<String>>>;

fn pool(places: usize) -> (Arc<Pool<Fake>>, Log) {
    let log = Log::default();
    (Pool::new(Fake { log: Arc::clone(&log), results: None }, places), log)
}

fn held_pool(places: usize) -> (Arc<Pool<Fake>>, Log, Sender<Result<(), BuildError>>) {
    let log = Log::default();
    let (sender, results) = channel();
    let results = Some(Mutex::new(results));
    (Pool::new(Fake { log: Arc::clone(&log), results }, places), log, sender)
}

async fn lease(pool: &Arc<Pool<Fake>>, name: &'static str) -> Result<Lease<Fake>, BuildError> {
    pool.lease(Digest::of(&[name.as_bytes()]), &name).await
}

/// Whether one look at a future finds nothing.
async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    tokio::time::timeout(Duration::ZERO, future).await.is_err()
}

fn told(log: &Log) -> String {
    log.lock().expect("whole").join(" ")
}

#[tokio::test]
async fn the_least_recently_used_is_given_up_first() {
    let (pool, log) = pool(2);
    for name in ["a", "b", "a", "c", "a", "b"] {
        assert_eq!(*lease(&pool, name).await.expect("built").variant(), name);
    }
    assert_eq!(told(&log), "+a +b -b +c -c +b");
    assert_eq!(pool.len(), 2);
}

#[tokio::test]
async fn a_leased_variant_is_never_given_up() {
    let (pool, log) = pool(2);
    let a = lease(&pool, "a").await.expect("built");
    for name in ["b", "c", "d"] {
        drop(lease(&pool, name).await.expect("built"));
    }
    assert_eq!(told(&log), "+a +b -b +c -c +d");
    drop(a);
    drop(lease(&pool, "d").await.expect("there"));
    drop(lease(&pool, "e").await.expect("built"));
    assert_eq!(told(&log), "+a +b -b +c -c +d -a +e");
}

#[tokio::test]
async fn who_finds_all_places_leased_waits_for_one() {
    let (pool, log) = pool(1);
    let a = lease(&pool, "a").await.expect("built");
    let waiting = lease(&pool, "b");
    tokio::pin!(waiting);
    assert!(is_pending(&mut waiting).await);
    assert_eq!(told(&log), "+a");
    drop(a);
    assert_eq!(*waiting.await.expect("built").variant(), "b");
    assert_eq!(told(&log), "+a -a +b");
}

#[tokio::test]
async fn all_who_want_a_variant_wait_for_one_build() {
    let (pool, log, results) = held_pool(2);
    let (mut one, mut two) = (Box::pin(lease(&pool, "a")), Box::pin(lease(&pool, "a")));
    assert!(is_pending(&mut one).await && is_pending(&mut two).await);
    results.send(Ok(())).expect("received");
    let (one, two) = tokio::join!(one, two);
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(told(&log), "+a");
}

#[tokio::test]
async fn a_failed_build_fails_all_who_wait_and_leaves_its_place() {
    let (pool, log, results) = held_pool(1);
    let (mut one, mut two) = (Box::pin(lease(&pool, "a")), Box::pin(lease(&pool, "a")));
    assert!(is_pending(&mut one).await && is_pending(&mut two).await);
    let failure = BuildError::Load("no".into());
    results.send(Err(failure.clone())).expect("received");
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.err(), two.err()), (Some(failure.clone()), Some(failure)));
    assert!(pool.is_empty());
    results.send(Ok(())).expect("received");
    assert!(lease(&pool, "a").await.is_ok());
    assert_eq!(told(&log), "+a");
}

#[tokio::test]
async fn a_build_that_panics_is_a_failure_like_any_other() {
    let (pool, _) = pool(1);
    assert_eq!(lease(&pool, "panic").await.err(), Some(BuildError::Panicked));
    assert!(lease(&pool, "a").await.is_ok());
}

#[tokio::test]
async fn a_build_goes_on_when_nobody_waits_any_more() {
    let (pool, log, results) = held_pool(1);
    let mut waiting = Box::pin(lease(&pool, "a"));
    assert!(is_pending(&mut waiting).await);
    drop(waiting);
    results.send(Ok(())).expect("received");
    let again = tokio::time::timeout(Duration::from_secs(10), lease(&pool, "a")).await;
    assert!(again.expect("in time").is_ok());
    assert_eq!(told(&log), "+a");
}
