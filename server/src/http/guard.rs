//! What every answer carries, and whose requests are not answered.

use super::error::Failure;
use axum::{
    extract::Request,
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::api::{ApiError, ErrorKind};

/// Scripts, styles and workers come from here alone. Inline scripts are the document's own (theme, start, the state that
/// hydration reads); nothing a person typed is ever written into a page unescaped.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self'; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let fixed: [(HeaderName, &str); 4] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page of another site must not be able to post to a server on this machine: a browser says where a post comes from,
/// and it must come from here. Programs that are no browsers say nothing and may post.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    if is_foreign(&request) {
        let message = "This request comes from a page of another site. Open Anneal's own page and try there.";
        let refused = Failure(ApiError::new(ErrorKind::Invalid, message));
        return (StatusCode::FORBIDDEN, refused).into_response();
    }
    next.run(request).await
}

fn is_foreign(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    !reads
        && header(ORIGIN).is_some_and(|origin| {
            let host = origin.split_once("://").map_or(origin, |(_, host)| host);
            Some(host) != header(HOST)
        })
}
