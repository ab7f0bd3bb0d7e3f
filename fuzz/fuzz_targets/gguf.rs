//! The header of GGUF: no bytes make its reader panic, and no tensor lies outside the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::checkpoint::gguf::Gguf;

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = Gguf::parse(bytes) else { return };
    if let Some(tensor) = gguf.tensor("token_embd.weight") {
        assert!(bytes.get(tensor.bytes.clone()).is_some());
    }
    let _ = (gguf.text("general.architecture"), gguf.size("llama.block_count"));
    let _ = (gguf.float("llama.rope.freq_base"), gguf.array("tokenizer.ggml.tokens"));
});
