//! The model in a Web Worker: its own wasm, loaded when a person opens the playground. The page starts
//! `preview-worker.js` as a module worker; this module then says `ready` and speaks `domain::preview` in JSON messages.
//! The decoder, tokenizer and sampler are the server's own crates, so greedy output is the server's.
//! Burn and the browser are named for wasm alone; natively this crate is empty.

#[cfg(target_family = "wasm")]
mod engine;
#[cfg(target_family = "wasm")]
mod fetch;
#[cfg(target_family = "wasm")]
mod js;
#[cfg(target_family = "wasm")]
mod worker;
