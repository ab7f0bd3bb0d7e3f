//! A circuit breaker: a server that keeps failing is left alone for a while
//! (<https://martinfowler.com/bliki/CircuitBreaker.html>).

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open it.
const THRESHOLD: u32 = 3;
/// How long it stays open at first; twice as long after every trial that fails.
const SHORTEST: Duration = Duration::from_millis(500);
/// How long it stays open at most.
const LONGEST: Duration = Duration::from_secs(15);

/// Whether a server may be used, by how it answered so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    /// It may, after so many failures in a row.
    Closed(u32),
    /// It may not until then; the next wait is this long.
    Open(Instant, Duration),
    /// One job tries it out.
    Trial(Duration),
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed(0)
    }
}

impl Breaker {
    /// Whether a job may go to the server.
    pub(super) fn admits(self, now: Instant) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Open(until, _) => now >= until,
            Self::Trial(_) => false,
        }
    }

    /// A job goes to the server.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Self::Open(until, wait) = *self
            && now >= until
        {
            *self = Self::Trial(wait);
        }
    }

    /// The server answered.
    pub(super) const fn succeed(&mut self) {
        *self = Self::Closed(0);
    }

    /// The server failed.
    pub(super) fn fail(&mut self, now: Instant) {
        *self = match *self {
            Self::Closed(failures) if failures + 1 < THRESHOLD => Self::Closed(failures + 1),
            Self::Closed(_) => Self::Open(now + SHORTEST, SHORTEST * 2),
            Self::Trial(wait) => Self::Open(now + wait, (wait * 2).min(LONGEST)),
            // A job that began before it opened.
            open @ Self::Open(..) => open,
        };
    }

    /// A job that tried the server out was given up: nothing is known.
    pub(super) fn forget(&mut self, now: Instant) {
        if let Self::Trial(wait) = *self {
            *self = Self::Open(now, wait);
        }
    }

    /// Whether jobs go elsewhere.
    pub(super) const fn is_open(self) -> bool {
        !matches!(self, Self::Closed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_job_try() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        breaker.fail(start);
        breaker.fail(start);
        breaker.succeed();
        (0..2).for_each(|_| breaker.fail(start));
        assert!(breaker.admits(start));
        breaker.fail(start);
        assert!(!breaker.admits(start));
        let later = start + SHORTEST;
        assert!(breaker.admits(later));
        breaker.begin(later);
        assert!(!breaker.admits(later), "one trial at a time");
        breaker.fail(later);
        assert!(!breaker.admits(later + SHORTEST));
        breaker.begin(later + SHORTEST * 2);
        breaker.succeed();
        assert!(breaker.admits(later) && !breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_limit_and_a_trial_given_up_says_nothing() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        (0..3).for_each(|_| breaker.fail(now));
        for _ in 0..12 {
            now += LONGEST;
            breaker.begin(now);
            breaker.fail(now);
        }
        assert_eq!(breaker, Breaker::Open(now + LONGEST, LONGEST));
        now += LONGEST;
        breaker.begin(now);
        breaker.forget(now);
        assert!(breaker.admits(now));
    }
}
