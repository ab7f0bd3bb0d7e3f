//! Heads: no two files make them panic, and what is accepted comes back as it was.
#![no_main]

use gateway_toxicity::encoder::Heads;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|files: (&[u8], &[u8])| {
    let Ok(heads) = Heads::parse(files.0, files.1) else { return };
    let json = heads.json().expect("a description can be written");
    let tensors = heads.tensors().expect("checked shapes can be written");
    assert_eq!(Heads::parse(&json, &tensors).ok(), Some(heads));
});
