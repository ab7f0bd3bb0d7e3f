//! Times are those of a clock that only these tests move.

use governor::clock::FakeRelativeClock;

use super::*;

type Fake = Arc<Rates<FakeRelativeClock>>;

fn open(requests: u32, tokens: u32) -> (Fake, FakeRelativeClock) {
    let settings = RateSettings {
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU32::new(tokens),
    };
    let clock = FakeRelativeClock::default();
    (Arc::new(Rates::with_clock(settings, &clock)), clock)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Charges tokens and keeps them.
fn spend(rates: &Fake, tokens: usize) -> Result<(), Exceeded> {
    rates.reserve(tokens).1.map(|mut reservation| reservation.use_up(tokens))
}

#[test]
fn requests_are_refused_beyond_the_limit_until_time_has_passed() {
    let (rates, clock) = open(3, 0);
    let standings: Vec<_> = (0..3).map(|_| rates.request()).collect();
    let remaining = standings.iter().map(|(standing, taken)| {
        assert_eq!(*taken, Ok(()));
        standing.and_then(|standing| standing.remaining)
    });
    assert_eq!(remaining.collect::<Vec<_>>(), [Some(2), Some(1), Some(0)]);
    let (standing, taken) = rates.request();
    assert_eq!(taken, Err(Exceeded::For(seconds(20))));
    let standing = standing.unwrap();
    assert_eq!((standing.remaining, standing.reset), (Some(0), Some(seconds(60))));
    clock.advance(seconds(19));
    assert_eq!(rates.request().1, Err(Exceeded::For(seconds(1))));
    clock.advance(seconds(1));
    assert_eq!(rates.request().1, Ok(()));
    assert!(rates.request().1.is_err());
}

#[test]
fn tokens_are_charged_before_and_what_is_left_over_comes_back() {
    let (rates, clock) = open(0, 60);
    let (standing, reservation) = rates.reserve(50);
    let standing = standing.unwrap();
    assert_eq!((standing.remaining, standing.reset), (Some(10), Some(seconds(50))));
    // While it runs nobody else has them.
    assert_eq!(spend(&rates, 20), Err(Exceeded::For(seconds(10))));
    let mut reservation = reservation.unwrap();
    reservation.use_up(15);
    drop(reservation);
    assert_eq!(spend(&rates, 45), Ok(()));
    assert_eq!(spend(&rates, 1), Err(Exceeded::For(seconds(1))));
    clock.advance(seconds(60));
    assert_eq!(spend(&rates, 60), Ok(()));
}

#[test]
fn a_request_that_fails_costs_nothing() {
    let (rates, _clock) = open(0, 60);
    for _ in 0..10 {
        drop(rates.reserve(60).1.unwrap());
    }
    assert_eq!(spend(&rates, 60), Ok(()));
    assert!(spend(&rates, 1).is_err());
}

#[test]
fn what_comes_back_is_never_more_than_a_minute_of_it() {
    let (rates, clock) = open(0, 60);
    for _ in 0..5 {
        drop(rates.reserve(60).1.unwrap());
        clock.advance(seconds(60));
    }
    assert_eq!([spend(&rates, 60), spend(&rates, 60)], [Ok(()), Ok(())]);
    assert!(spend(&rates, 1).is_err());
}

#[test]
fn more_than_the_bucket_holds_is_never_there() {
    let (rates, clock) = open(0, 60);
    clock.advance(seconds(600));
    assert_eq!(spend(&rates, 61), Err(Exceeded::Always(60)));
    assert_eq!(spend(&rates, usize::MAX), Err(Exceeded::Always(60)));
    assert_eq!(spend(&rates, 60), Ok(()));
}

#[test]
fn without_a_limit_all_is_there_and_nothing_is_told() {
    let (rates, _clock) = open(0, 0);
    assert_eq!(rates.request(), (None, Ok(())));
    assert_eq!(spend(&rates, usize::MAX), Ok(()));
}
