//! The typed API: one request type an endpoint, shared by the page, the command line and Rust clients.
//! A request names its path and its answer (`Endpoint`); it is sent as `request[...]`, by GET in the query or by POST in a form.
//! Fields are plain texts and numbers; the service parses them once into domain types and names the field when that fails.

mod datasets;
mod error;
mod models;
mod page;
mod runs;
mod system;
mod traces;

pub use datasets::*;
pub use error::*;
pub use models::*;
pub use page::*;
pub use runs::*;
pub use system::*;
pub use traces::*;

use serde::{Serialize, de::DeserializeOwned};

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads only.
    Get,
    /// Writes.
    Post,
}

/// A request type with its path and answer.
pub trait Endpoint: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Under `/api/`, like `runs/create`.
    const PATH: &'static str;
    const METHOD: Method;
    type Answer: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
}

macro_rules! endpoints {
    ($($request:ident, $method:ident, $path:literal => $answer:ty;)*) => {
        $(impl Endpoint for $request {
            const PATH: &'static str = $path;
            const METHOD: Method = Method::$method;
            type Answer = $answer;
        })*

        /// Every path of the API with its method.
        pub const ALL: &[(&str, Method)] = &[$(($path, Method::$method)),*];
    };
}

endpoints! {
    ListTraces, Get, "traces/list" => Page<crate::trace::TraceSummary>;
    GetTrace, Get, "traces/get" => crate::trace::Trace;
    TraceFacets, Get, "traces/facets" => Facets;
    PreviewTraces, Get, "traces/preview" => Vec<crate::trace::NewTrace>;
    GenerateTraces, Post, "traces/generate" => ImportReport;
    DeleteTraces, Post, "traces/delete" => Deleted;
    RestoreTraces, Post, "traces/restore" => Deleted;
    ListDatasets, Get, "datasets/list" => Vec<crate::dataset::Dataset>;
    GetDataset, Get, "datasets/get" => crate::dataset::Dataset;
    ListDatasetItems, Get, "datasets/items" => Page<DatasetItem>;
    BuildDataset, Post, "datasets/build" => crate::dataset::Dataset;
    ListModels, Get, "models/list" => Vec<BaseModel>;
    GetModel, Get, "models/get" => BaseModel;
    DeleteModel, Post, "models/delete" => BaseModel;
    ListRecipes, Get, "recipes/list" => Vec<ShippedRecipe>;
    CheckRecipe, Get, "recipes/check" => RecipeCheck;
    CreateRun, Post, "runs/create" => RunDetail;
    ListRuns, Get, "runs/list" => Page<RunRow>;
    GetRun, Get, "runs/get" => RunDetail;
    CancelRun, Post, "runs/cancel" => RunDetail;
    RetryRun, Post, "runs/retry" => RunDetail;
    RunSeries, Get, "runs/series" => Vec<Series>;
    RunLog, Get, "runs/log" => Vec<crate::event::LogLine>;
    RunSamples, Get, "runs/samples" => Vec<Sample>;
    GetEvaluation, Get, "evaluations/get" => EvaluationDetail;
    Leaderboard, Get, "leaderboard/list" => Vec<LeaderboardRow>;
    GetHome, Get, "home/get" => Home;
    GetSystem, Get, "system/get" => System;
    CollectGarbage, Post, "system/gc" => Garbage;
}
