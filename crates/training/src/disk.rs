//! Room on the disk that a training writes to.

use std::path::Path;

/// Bytes that an ordinary user can still write there; none where the system does not say.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_df() {
        let folder = tempfile::tempdir().unwrap();
        let df = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(folder.path()).output().unwrap();
        let said = String::from_utf8(df.stdout).unwrap();
        let said: f64 = said.lines().last().unwrap().trim().parse().unwrap();
        // Others write at the same time.
        let found = free(folder.path()).unwrap() as f64;
        assert!((found - said).abs() <= 0.1 * said + 1e9, "{found}, df says {said}");
        assert_eq!(free(Path::new("/no/such/folder")), None);
    }
}
