//! Requests one after the other on a few connections, and what they took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::http::Connection;

/// Gets `path` `requests` times over `connections` connections: pages a second, P50 and P95 in milliseconds, bytes.
pub(super) fn measure(address: &str, path: &str, connections: usize, requests: usize) -> Result<Value> {
    // Caches and pools fill first: what is wanted is the server at work, not waking up.
    let bytes = one_by_one(address, path, 10)?.1;
    let start = Instant::now();
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let (address, path) = (address.to_owned(), path.to_owned());
            std::thread::spawn(move || one_by_one(&address, &path, requests / connections))
        })
        .collect();
    let mut times = Vec::new();
    for worker in workers {
        let done = worker.join().map_err(|_| anyhow::anyhow!("a load thread panicked"))?;
        times.extend(done?.0);
    }
    let seconds = start.elapsed().as_secs_f64();
    times.sort();
    Ok(json!({
        "connections": connections,
        "pages_per_sec": times.len() as f64 / seconds,
        "p50_ms": millis(&times, 0.50).context("no request was made")?,
        "p95_ms": millis(&times, 0.95).context("no request was made")?,
        "bytes": bytes,
    }))
}

fn one_by_one(address: &str, path: &str, requests: usize) -> Result<(Vec<Duration>, usize)> {
    let mut connection = Connection::open(address)?;
    let mut times = Vec::with_capacity(requests);
    let mut bytes = 0;
    for _ in 0..requests {
        let start = Instant::now();
        let (status, length) = connection.get(path)?;
        times.push(start.elapsed());
        if status != 200 {
            bail!("{path} answered {status}");
        }
        bytes = length;
    }
    Ok((times, bytes))
}

/// The nearest-rank percentile of sorted times.
fn millis(sorted: &[Duration], part: f64) -> Option<f64> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map(|time| time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(millis(&times, 0.50), Some(10.0));
        assert_eq!(millis(&times, 0.95), Some(19.0));
        assert_eq!(millis(&times[..1], 0.95), Some(1.0));
        assert_eq!(millis(&[], 0.5), None);
    }
}
