//! The PEFT configuration: no bytes make it panic, and every scaling it gives is finite.
#![no_main]

use adapters::lora::PeftConfig;
use libfuzzer_sys::fuzz_target;
use model::{Projection, Site};

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = PeftConfig::parse(bytes) else { return };
    for site in Projection::ALL.map(|projection| Site::new(1, projection)) {
        let _ = config.targets(site);
        if let Ok(rank) = config.rank(site) {
            assert!(rank > 0);
        }
        if let Ok(scaling) = config.scaling(site) {
            assert!(scaling.is_finite());
        }
    }
});
