use std::task::Poll;

use tokio::sync::Semaphore;

use super::*;

/// Loads when it is let, and writes down what it did.
#[derive(Default)]
struct Scripted {
    done: Mutex<Vec<String>>,
    gate: Option<Semaphore>,
    fails: bool,
}

impl Scripted {
    fn note(&self, what: String) {
        self.done.lock().expect("no panic").push(what);
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().expect("no panic"))
    }
}

impl Loader for Scripted {
    async fn load(&self, name: &str) -> Result<(), Fault> {
        self.note(format!("+{name}"));
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("open").forget();
        }
        if self.fails { Err(Fault::Garbage) } else { Ok(()) }
    }

    async fn unload(&self, name: &str) -> Result<(), Fault> {
        self.note(format!("-{name}"));
        Ok(())
    }
}

async fn use_once(placement: &Arc<Placement>, loader: &Scripted, name: &str) {
    placement.hold(name, loader).await.expect("placed");
}

#[tokio::test]
async fn the_least_recently_used_goes() {
    let (placement, loader) = (Arc::new(Placement::new(2)), Scripted::default());
    for name in ["a", "b", "a", "c", "a", "b"] {
        use_once(&placement, &loader, name).await;
    }
    assert_eq!(loader.done(), ["+a", "+b", "-b", "+c", "-c", "+b"]);
    assert_eq!(placement.counts(), [("loaded", 4), ("evicted", 2), ("refused", 0)]);
}

#[tokio::test]
async fn what_is_in_use_never_goes() {
    let (placement, loader) = (Arc::new(Placement::new(1)), Scripted::default());
    let first = placement.hold("a", &loader).await.expect("placed");
    let mut second = std::pin::pin!(placement.hold("b", &loader));
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    assert_eq!(loader.done(), ["+a"]);
    drop(first);
    second.await.expect("placed");
    assert_eq!(loader.done(), ["-a", "+b"]);
}

#[tokio::test]
async fn who_needs_what_is_on_its_way_waits_for_that() {
    let gate = Some(Semaphore::new(0));
    let (placement, loader) =
        (Arc::new(Placement::new(2)), Scripted { gate, ..Scripted::default() });
    let mut first = std::pin::pin!(placement.hold("a", &loader));
    let mut second = std::pin::pin!(placement.hold("a", &loader));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    loader.gate.as_ref().expect("a gate").add_permits(1);
    let Poll::Ready(first) = futures_util::poll!(first.as_mut()) else { panic!("not placed") };
    first.expect("placed");
    second.await.expect("placed");
    assert_eq!(loader.done(), ["+a"]);
}

#[tokio::test]
async fn what_failed_or_was_given_up_is_not_there() {
    let gate = Some(Semaphore::new(0));
    let placement = Arc::new(Placement::new(1));
    let slow = Scripted { gate, ..Scripted::default() };
    {
        let mut given_up = Box::pin(placement.hold("a", &slow));
        assert!(futures_util::poll!(given_up.as_mut()).is_pending());
    }
    let failing = Scripted { fails: true, ..Scripted::default() };
    assert_eq!(placement.hold("a", &failing).await.err(), Some(Fault::Garbage));
    assert!(!placement.has("a"));
    let loader = Scripted::default();
    let hold = placement.hold("b", &loader).await.expect("placed");
    placement.forget("b");
    assert!(!placement.has("b"));
    drop(hold);
    use_once(&placement, &loader, "b").await;
    assert_eq!(loader.done(), ["+b", "+b"]);
}
