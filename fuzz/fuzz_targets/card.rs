//! The card: no bytes make it panic, and every card can be written and read again.
#![no_main]

use adapters::Card;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(card) = Card::parse(bytes) else { return };
    let written = card.to_json().expect("a card is JSON");
    Card::parse(written.as_bytes()).expect("a written card is a card");
});
