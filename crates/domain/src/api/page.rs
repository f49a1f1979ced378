//! Pages of a list.

use serde::{Deserialize, Serialize};

/// A part of a list, with the length of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub total: u64,
    pub offset: u64,
    pub limit: u32,
}

/// Rows a page has unless asked otherwise, and at most.
pub const PAGE_DEFAULT: u32 = 50;
pub const PAGE_MOST: u32 = 1_000;
