//! Request bodies and the texts that choose adapters: nothing makes their parsers panic.
#![no_main]

use gateway_wire::{
    ChatRequest, CompletionRequest, DetokenizeRequest, LoadRequest, ModerationRequest, Selection,
    TokenizeRequest,
    VllmLoadRequest, VllmUnloadRequest,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ChatRequest::parse(bytes);
    let _ = CompletionRequest::parse(bytes);
    let _ = TokenizeRequest::parse(bytes);
    let _ = DetokenizeRequest::parse(bytes);
    let _ = LoadRequest::parse(bytes);
    let _ = ModerationRequest::parse(bytes);
    let _ = VllmLoadRequest::parse(bytes);
    let _ = VllmUnloadRequest::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Selection::parse_header(text);
        let _ = Selection::parse_suffix(text);
    }
});
