//! `anneal probe-gpus`: the process that looks for GPUs on behalf of another of ours, since a driver may crash or hang it.

use domain::api::ApiError;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Check the adapter of this number instead of listing all
    #[arg(long)]
    check: Option<usize>,
}

pub(super) fn run(options: &Options) -> Result<(), ApiError> {
    training::probe::answer(options.check).map_err(|e| ApiError::internal(format!("no answer could be given: {e}")))
}
