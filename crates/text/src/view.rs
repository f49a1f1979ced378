//! Tokens and loss mask for people to look at: the very code the trainer uses.

use crate::{
    layout,
    tokenizer::{Tokenizer, TokenizerError},
};
use domain::NewTrace;
use serde::{Deserialize, Serialize};

/// One token of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    pub id: u32,
    /// Decoded; a special token by its name.
    pub text: String,
    /// Whether loss falls on it.
    pub trains: bool,
}

/// The tokens of a trace as the trainer sees them.
pub fn tokens(tokenizer: &Tokenizer, trace: &NewTrace) -> Result<Vec<TokenView>, TokenizerError> {
    let encoded = layout::encode_trace(tokenizer, None, trace)?;
    encoded
        .ids
        .into_iter()
        .zip(encoded.mask)
        .map(|(id, trains)| {
            let text = tokenizer.decode(&[id])?;
            let text = if text.is_empty() { tokenizer.token(id) } else { text };
            Ok(TokenView { id, text, trains })
        })
        .collect()
}
