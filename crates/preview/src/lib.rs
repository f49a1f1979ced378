//! The model in a Web Worker, its own wasm.
