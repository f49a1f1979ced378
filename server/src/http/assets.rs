//! The embedded site. A name contains its content's hash, so that what was fetched once is kept for ever.

use super::error::Failure;
use crate::site;
use axum::{
    extract::Path,
    http::{
        HeaderMap,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};
use domain::api::ApiError;

pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = site::file(&name) else {
        return Failure(ApiError::not_found(format!("There is no asset {name:?}."))).into_response();
    };
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fixed = [
        (CONTENT_TYPE, content_type(&name)),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (VARY, "accept-encoding"),
    ];
    match (file.brotli, file.gzip) {
        (Some(bytes), _) if accepts(accepted, "br") => (fixed, [(CONTENT_ENCODING, "br")], bytes).into_response(),
        (_, Some(bytes)) if accepts(accepted, "gzip") => (fixed, [(CONTENT_ENCODING, "gzip")], bytes).into_response(),
        _ => (fixed, file.raw).into_response(),
    }
}

/// Whether an `Accept-Encoding` names the coding without refusing it (`br;q=0`).
fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let named = pieces.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        named && !pieces.any(|q| q.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" => "application/json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings() {
        for (header, coding, expected) in [
            ("gzip, deflate, br", "br", true),
            ("gzip;q=0.5, BR;q=1.0", "br", true),
            ("br;q=0, gzip", "br", false),
            ("br; q=0.0", "br", false),
            ("", "br", false),
            ("brotli", "br", false),
        ] {
            assert_eq!(accepts(header, coding), expected, "{header}");
        }
    }
}
