//! Disk space that nothing needs any more is given back: by the hour, or when a person asks.

use crate::{Service, errors::internal};
use domain::api::{ApiError, CollectGarbage, Garbage};
use std::{path::Path, time::Duration};

/// Files that are being uploaded, or a dataset that is being built, belong to nobody until they are whole.
const LEAST: u64 = 10;

impl Service {
    /// Removes objects that nothing names and that have not been touched for so many minutes, and folders of links to them.
    pub async fn system_gc(&self, request: CollectGarbage) -> Result<Garbage, ApiError> {
        let minutes = request.minutes;
        if minutes < LEAST {
            let message = format!("must be {LEAST} or more: what is being uploaded now belongs to nobody yet");
            return Err(ApiError::field("minutes", message));
        }
        let named = self.store().named_objects().await.map_err(internal)?;
        let (objects, models) = (self.store().objects().clone(), self.data_dir().join("models"));
        let work = move || {
            let swept = objects.sweep(&named, Duration::from_secs(minutes.saturating_mul(60)))?;
            unlink(&models);
            Ok(swept)
        };
        let swept = tokio::task::spawn_blocking(work).await;
        let swept = swept.map_err(|e| ApiError::internal(format!("freeing disk space stopped: {e}")))?;
        let swept = swept.map_err(internal)?;
        if swept.objects > 0 {
            tracing::info!(objects = swept.objects, bytes = swept.bytes, "disk space freed");
        }
        Ok(Garbage {
            objects: swept.objects,
            bytes: swept.bytes,
            waiting_objects: swept.waiting_objects,
            waiting_bytes: swept.waiting_bytes,
        })
    }
}

/// Removes the folders of links (see [`Service::folder`]) of which one leads nowhere. They cost next to nothing: one that
/// cannot be removed now is left for the next time.
fn unlink(models: &Path) {
    let Ok(folders) = std::fs::read_dir(models) else { return };
    for folder in folders.flatten().map(|entry| entry.path()) {
        let leads_nowhere = |link: &Path| link.is_symlink() && !link.exists();
        if std::fs::read_dir(&folder).is_ok_and(|mut links| links.any(|l| l.is_ok_and(|l| leads_nowhere(&l.path())))) {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}
