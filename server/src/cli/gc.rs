//! `anneal gc`: gives the disk space of what was deleted, or uploaded in vain, back at once.

use super::{out::Out, table::bytes};
use client::Client;
use domain::api::{ApiError, CollectGarbage};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only what nothing has needed for so many minutes, at least 10
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

pub(super) async fn run(options: &Options, client: &Client, out: Out) -> Result<(), ApiError> {
    let garbage = client.call(&CollectGarbage { minutes: options.minutes }).await?;
    out.show(&garbage, |g| {
        let freed = format!("{} freed, {} files", bytes(g.bytes), g.objects);
        if g.waiting_objects == 0 {
            return freed;
        }
        format!("{freed}; {} of {} files that nothing needs are too young", bytes(g.waiting_bytes), g.waiting_objects)
    })
}
