//! The service over a real database: what it answers, what it refuses and in which words.

mod control;
mod datasets;
mod gc;
mod models;
mod recipes;
mod support;
