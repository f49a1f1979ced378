//! Everything about text that trainer, evaluation, page and browser preview must do alike: tokens, the layout of a trace
//! and its loss mask, finding the answer, judging it. One code for all of them is what makes their figures agree.

pub mod chat;
pub mod conversation;
pub mod dialogue;
pub mod extract;
pub mod language;
pub mod layout;
pub mod pretrained;
mod pycompat;
pub mod reasoning;
pub mod score;
pub mod tokenizer;
pub mod view;
pub mod vocabulary;
