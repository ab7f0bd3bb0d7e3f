//! A job's life: it waits for its turn, is sent to a server, to another if that fails, and ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::exchange::{Outlet, exchange};
use super::fault::{Consequence, Fault};
use super::fleet::Fleet;
use super::jobs::Place;
use super::replica::Replica;
use crate::{Chunk, EngineError, Finish, FinishReason, Job, Priority};

/// How long a job waits before servers that failed are asked again, the first time.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs `job` to its end. It ends early with an error at its deadline and when the engine goes
/// down, and without one when its reader is gone; then its server sees the connection closed.
pub(super) async fn run(
    fleet: Arc<Fleet>,
    place: Place,
    job: Job,
    sender: Sender<Result<Chunk, EngineError>>,
    mut down: watch::Receiver<bool>,
) {
    let mut outlet = Outlet { place, sender: sender.clone(), began: false };
    let result = tokio::select! {
        biased;
        () = sender.closed() => return,
        _ = down.wait_for(|down| *down) => Err(EngineError::ShuttingDown),
        () = sleep_until(job.deadline.into()) => Err(EngineError::Deadline),
        result = Box::pin(serve(&fleet, &job, &mut outlet)) => result,
    };
    // Whoever is told that it failed finds everything that it held free.
    drop((job, outlet));
    if let Err(error) = result {
        // The reader may be gone, and nobody else is to be told.
        let _ = sender.send(Err(error)).await;
    }
}

async fn serve(fleet: &Fleet, job: &Job, outlet: &mut Outlet) -> Result<(), EngineError> {
    if job.priority == Priority::Background {
        fleet.jobs.idle().await;
    }
    if job.limits.max_tokens == 0 && job.logprobs.prompt.is_none() {
        return nothing(job, outlet).await;
    }
    fleet.budget.deposit();
    let mut tried = Vec::new();
    for attempt in 1_u32.. {
        let replica = fleet.choose(&job.adapters, &tried);
        let fault = match attempt_at(fleet, &replica, job, outlet).await {
            Ok(finish) => {
                outlet.place.end(finish);
                return Ok(());
            }
            Err(fault) => fault,
        };
        tell(&replica, &fault, attempt);
        let last = attempt as usize >= fleet.settings.attempts;
        let hopeless = fault.consequence() == Consequence::Never;
        if outlet.began || hopeless || last || !fleet.budget.withdraw() {
            return Err(fault.into());
        }
        tried.push(replica);
        if tried.len() >= fleet.replicas.len() {
            tried.clear();
            sleep(PAUSE * attempt).await;
        }
    }
    Err(EngineError::Internal("no attempt was made".to_owned()))
}

async fn attempt_at(
    fleet: &Fleet,
    replica: &Arc<Replica>,
    job: &Job,
    outlet: &mut Outlet,
) -> Result<Finish, Fault> {
    let ticket = replica.take();
    let result = async {
        let aim = fleet.aim(replica, &job.adapters).await?;
        let result = exchange(fleet, replica, job, &aim, outlet).await;
        if let (Err(Fault::Displaced), Some(name)) = (&result, &aim.placed) {
            replica.placement.forget(name);
        }
        result
    };
    let result = result.await;
    match &result {
        Ok(_) => ticket.succeed(),
        Err(fault) => ticket.fail(fault),
    }
    result
}

/// Tells the log; only what an operator must do something about is loud.
fn tell(replica: &Replica, fault: &Fault, attempt: u32) {
    let server = &replica.server;
    match fault {
        Fault::Adapter(_) | Fault::Folder(_) => {
            tracing::warn!(%server, %fault, attempt, "an adapter cannot be placed");
        }
        Fault::Unreachable
        | Fault::Untrusted
        | Fault::Lost
        | Fault::TimedOut
        | Fault::Overloaded
        | Fault::Failed(_)
        | Fault::Refused(_)
        | Fault::Garbage
        | Fault::Displaced
        | Fault::Missing(_) => {
            tracing::debug!(%server, %fault, attempt, "an upstream server did not answer");
        }
    }
}

/// The answer to who wants none.
async fn nothing(job: &Job, outlet: &Outlet) -> Result<(), EngineError> {
    let finish = Finish {
        reason: FinishReason::Length,
        prompt_tokens: job.prompt.len(),
        cached_tokens: 0,
        completion_tokens: 0,
    };
    let _ = outlet.sender.send(Ok(Chunk { finish: Some(finish), ..Chunk::default() })).await;
    Ok(())
}
