//! How often and how much a key may ask.
//!
//! Requests and tokens are two buckets that refill evenly, a minute from empty to full
//! ([GCRA](https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm), by `governor`). Tokens are
//! charged before a request runs, prompt and the most that it may generate, so that the limit holds
//! at any time; what was not used comes back at its end and is spent first by what follows. So a
//! key never gets more than its rate in the long run, nor more than two minutes' worth at once.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::standing::{Resource, Standing};
use crate::clock;

/// The rates that a file gives to a key; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RateSettings {
    pub(super) requests_per_minute: Option<NonZeroU32>,
    pub(super) tokens_per_minute: Option<NonZeroU32>,
}

/// What a key may still ask for.
#[derive(Debug)]
pub(crate) struct Rates<C: Clock = Running> {
    pub(super) settings: RateSettings,
    requests: Option<Bucket<C>>,
    tokens: Option<Bucket<C>>,
}

/// Tokens that a request was charged and may not use. Dropping it gives back the rest.
#[derive(Debug)]
pub(crate) struct Reservation<C: Clock = Running> {
    rates: Arc<Rates<C>>,
    charged: u32,
    used: u32,
}

/// Why a request must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// It may be asked again after this.
    For(Duration),
    /// It asks for more than a full bucket of so many holds.
    Always(u32),
}

/// Time since the bucket was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running(Instant);

struct Bucket<C: Clock> {
    resource: Resource,
    limit: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
    clock: C,
    /// What was charged and came back, at most the limit.
    credit: Mutex<u32>,
}

impl Clock for Running {
    type Instant = Duration;

    fn now(&self) -> Duration {
        clock::now().saturating_duration_since(self.0)
    }
}

impl Rates {
    pub(super) fn new(settings: RateSettings) -> Self {
        Self::with_clock(settings, &Running(clock::now()))
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with_clock(settings: RateSettings, clock: &C) -> Self {
        let bucket = |limit: Option<NonZeroU32>, resource| {
            limit.map(|limit| Bucket::new(limit, resource, clock.clone()))
        };
        Self {
            settings,
            requests: bucket(settings.requests_per_minute, Resource::Requests),
            tokens: bucket(settings.tokens_per_minute, Resource::Tokens),
        }
    }

    /// Charges a request; says how the key stands if it has a limit.
    pub(crate) fn request(&self) -> (Option<Standing>, Result<(), Exceeded>) {
        self.requests.as_ref().map_or((None, Ok(())), |bucket| bucket.take(1))
    }

    /// Charges `tokens`; says how the key stands if it has a limit.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        tokens: usize,
    ) -> (Option<Standing>, Result<Reservation<C>, Exceeded>) {
        let charged = u32::try_from(tokens).unwrap_or(u32::MAX);
        let (standing, taken) =
            self.tokens.as_ref().map_or((None, Ok(())), |bucket| bucket.take(charged));
        (standing, taken.map(|()| Reservation { rates: Arc::clone(self), charged, used: 0 }))
    }
}

impl<C: Clock> Reservation<C> {
    /// So many tokens were used.
    pub(crate) fn use_up(&mut self, tokens: usize) {
        self.used = u32::try_from(tokens).unwrap_or(u32::MAX);
    }
}

impl<C: Clock> Drop for Reservation<C> {
    fn drop(&mut self) {
        if let Some(bucket) = &self.rates.tokens {
            bucket.give_back(self.charged.saturating_sub(self.used));
        }
    }
}

impl<C: Clock + Clone> Bucket<C> {
    fn new(limit: NonZeroU32, resource: Resource, clock: C) -> Self {
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(limit), clock.clone());
        Self { resource, limit, limiter: limiter.with_middleware(), clock, credit: Mutex::new(0) }
    }
}

impl<C: Clock> Bucket<C> {
    /// Takes `count` out, of what came back first.
    fn take(&self, count: u32) -> (Option<Standing>, Result<(), Exceeded>) {
        if count > self.limit.get() {
            return (None, Err(Exceeded::Always(self.limit.get())));
        }
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = count.saturating_sub(*credit);
        let Some(cells) = NonZeroU32::new(rest) else {
            *credit -= count;
            return (Some(self.standing(None, None)), Ok(()));
        };
        match self.limiter.check_n(cells) {
            Ok(Ok(state)) => {
                *credit -= count - rest;
                let left = state.remaining_burst_capacity();
                let reset = self.refill(self.limit.get().saturating_sub(left));
                let remaining = left.saturating_add(*credit).min(self.limit.get());
                (Some(self.standing(Some(remaining), Some(reset))), Ok(()))
            }
            Ok(Err(until)) => {
                let wait = until.wait_time_from(self.clock.now());
                let reset = wait + self.refill(self.limit.get() - rest);
                // Of tokens there may be some, only not as many as were asked for.
                let remaining = (count == 1).then_some(0);
                (Some(self.standing(remaining, Some(reset))), Err(Exceeded::For(wait)))
            }
            Err(_) => (None, Err(Exceeded::Always(self.limit.get()))),
        }
    }

    fn give_back(&self, count: u32) {
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        *credit = credit.saturating_add(count).min(self.limit.get());
    }

    /// How long it takes to refill `count`.
    fn refill(&self, count: u32) -> Duration {
        Duration::from_secs(60) * count / self.limit.get()
    }

    fn standing(&self, remaining: Option<u32>, reset: Option<Duration>) -> Standing {
        Standing { resource: self.resource, limit: self.limit.get(), remaining, reset }
    }
}

impl<C: Clock> fmt::Debug for Bucket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
