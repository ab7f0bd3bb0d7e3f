//! A few kills; `deploy/crash.sh` does two hundred.

use std::path::Path;

use acceptance::crash::World;

const ROUNDS: usize = 5;

#[test]
fn what_was_acknowledged_survives_kills_at_any_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_lethe-gateway"));
    let mut world = World::new(program, folder.path(), 5).expect("a world");
    for round in 1..=ROUNDS {
        world.round().unwrap_or_else(|error| panic!("round {round}: {error:#}"));
    }
    world.finish().expect("a good end");
    assert!(world.totals().records > ROUNDS, "{:?}", world.totals());
}
