//! File descriptors: each connection takes one, and another while a request of it is worked on, to
//! notice its end.

/// Below this, connections may run out of them before memory does.
#[cfg(target_os = "linux")]
const FEW: u64 = 4_096;

/// Lets the process have as many as it may, and says in the log how many that is. Systems start
/// programs with 1,024 so that old ones work, which a server need not bear.
#[cfg(target_os = "linux")]
pub fn raise() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit).is_ok();
    let now = if raised { limit.current } else { before };
    let descriptors = now.unwrap_or(u64::MAX);
    if descriptors < FEW {
        tracing::warn!(
            descriptors,
            "few connections can be open; raise the hard limit of open files"
        );
    } else {
        tracing::info!(descriptors, "open files");
    }
}

/// Elsewhere the limit is the operator's.
#[cfg(not(target_os = "linux"))]
pub const fn raise() {}
