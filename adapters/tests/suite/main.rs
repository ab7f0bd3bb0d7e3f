//! What the crate promises from outside: every fault of an adapter's files is found at the door,
//! and the catalogue keeps leases, limits and state in order.

#![cfg(test)]

mod card;
mod catalogue;
mod fixture;
mod folder;
mod lora;
mod merge;
mod parity;
mod peft_config;
mod properties;
mod restart;
mod tensor_file;
mod vector;
