//! All that the API can do: its routes, and with them its document.

use actix_web::http::Method;
use gateway_wire::{
    Adapter, ChatChunk, ChatCompletion, Completion, CompletionChunk, Deleted, DetokenizeReply,
    List, LlamaAdapter, Model, ModerationReply, TokenizeReply,
};
use serde_json::{Map, Value};

use super::operation::Operation;
use super::{adapters, chat, completions, llama, models, moderations, openapi, tokens, vllm};
use crate::error::Code;

/// How a completion can fail.
const GENERATION: [Code; 12] = [
    Code::ContextLengthExceeded,
    Code::AdapterNotAllowed,
    Code::ModelNotFound,
    Code::AdapterNotFound,
    Code::AdapterRefused,
    Code::GrammarRefused,
    Code::QueueFull,
    Code::TokensLimited,
    Code::UpstreamRefused,
    Code::UpstreamFailed,
    Code::UpstreamUnavailable,
    Code::DeadlineExceeded,
];

/// How loading an adapter can fail.
const LOADING: [Code; 3] = [Code::AdapterRefused, Code::GenerationConflict, Code::AdapterLimit];

/// How unloading an adapter can fail.
const UNLOADING: [Code; 2] = [Code::AdapterNotFound, Code::GenerationConflict];

/// One entry for each method of each path.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::POST, "/v1/chat/completions", chat::create)
            .called("createChatCompletion", "Answers a conversation.")
            .gives::<ChatCompletion>()
            .streams::<ChatChunk>()
            .fails(&GENERATION),
        Operation::new(Method::POST, "/v1/completions", completions::create)
            .called("createCompletion", "Completes prompts.")
            .gives::<Completion>()
            .streams::<CompletionChunk>()
            .fails(&GENERATION),
        Operation::new(Method::POST, "/v1/moderations", moderations::create)
            .called("createModeration", "Scores texts by themselves.")
            .gives::<ModerationReply>()
            .fails(&[Code::ModelNotFound, Code::QueueFull, Code::DeadlineExceeded]),
        Operation::new(Method::GET, "/v1/models", models::list)
            .called("listModels", "Lists what `model` may name.")
            .gives::<List<Model>>(),
        Operation::new(Method::GET, "/v1/models/{model}", models::get)
            .called("retrieveModel", "Shows one of them.")
            .gives::<Model>()
            .fails(&[Code::ModelNotFound]),
        Operation::new(Method::GET, "/v1/adapters", adapters::list)
            .called("listAdapters", "Lists the adapters that are loaded.")
            .gives::<List<Adapter>>(),
        Operation::new(Method::POST, "/v1/adapters", adapters::load)
            .called("loadAdapter", "Loads an adapter, or swaps what its name stands for.")
            .gives::<Adapter>()
            .fails(&LOADING),
        Operation::new(Method::GET, "/v1/adapters/{name}", adapters::get)
            .called("retrieveAdapter", "Shows one of them.")
            .gives::<Adapter>()
            .fails(&[Code::AdapterNotFound]),
        Operation::new(Method::DELETE, "/v1/adapters/{name}", adapters::unload)
            .called("unloadAdapter", "Unloads an adapter.")
            .gives::<Deleted>()
            .fails(&UNLOADING),
        Operation::new(Method::POST, "/v1/load_lora_adapter", vllm::load)
            .called("loadLoraAdapter", "Loads an adapter, in vLLM's shape.")
            .gives_text()
            .fails(&LOADING),
        Operation::new(Method::POST, "/v1/unload_lora_adapter", vllm::unload)
            .called("unloadLoraAdapter", "Unloads an adapter, in vLLM's shape.")
            .gives_text()
            .fails(&UNLOADING),
        Operation::new(Method::GET, "/lora-adapters", llama::list)
            .called("listLoraAdapters", "Lists the adapters, in llama.cpp's shape.")
            .gives::<Vec<LlamaAdapter>>(),
        Operation::new(Method::POST, "/tokenize", tokens::tokenize)
            .called("tokenize", "Turns a text or a conversation into tokens.")
            .gives::<TokenizeReply>()
            .fails(&[Code::ModelNotFound, Code::AdapterNotFound]),
        Operation::new(Method::POST, "/detokenize", tokens::detokenize)
            .called("detokenize", "Turns tokens into text.")
            .gives::<DetokenizeReply>()
            .fails(&[Code::ModelNotFound, Code::AdapterNotFound]),
        Operation::new(Method::GET, "/openapi.json", openapi::show)
            .called("describe", "This document.")
            .gives::<Map<String, Value>>(),
    ]
}
