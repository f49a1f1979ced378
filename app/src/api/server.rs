//! What server functions share on the server: the service, the status of a failure, and where a form leads.

use super::Failure;
use domain::api::{ApiError, ErrorKind};
use leptos::{
    prelude::{expect_context, use_context},
    server_fn::http_export::{
        Method,
        header::{ACCEPT, REFERER},
        request::Parts,
    },
};
use leptos_axum::ResponseOptions;
use service::Service;

/// The service that the router put into the context.
pub(super) fn service() -> Service {
    expect_context()
}

/// Turns the service's answer into ours. A failure's status is set unless a form was posted without JavaScript: that
/// answer is a redirect back to the page. A page being rendered takes over only "not found": other failures are shown in it.
pub(super) fn answer<T>(result: Result<T, ApiError>) -> Result<T, Failure> {
    let Err(error) = result else { return result.map_err(Failure) };
    let (html, post) = use_context::<Parts>().map_or((false, false), |parts| {
        let html =
            parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("text/html"));
        (html, parts.method == Method::POST)
    });
    if (!html || (!post && error.kind == ErrorKind::NotFound))
        && let Some(options) = use_context::<ResponseOptions>()
        && let Ok(status) = error.kind.status().try_into()
    {
        options.set_status(status);
    }
    Err(Failure(error))
}

/// After a form: the page that shows what came of it, with and without JavaScript.
pub(super) fn lead_to(path: &str) {
    if use_context::<Parts>().is_some() {
        leptos_axum::redirect(path);
    }
}

/// The same, except that the home page keeps the person: its next step is there.
pub(super) fn lead_to_unless_home(path: &str) {
    let referer = use_context::<Parts>().and_then(|parts| Some(parts.headers.get(REFERER)?.to_str().ok()?.to_owned()));
    let place = referer.as_deref().and_then(|referer| referer.split_once("://")).map(|(_, rest)| rest);
    if place.and_then(|rest| rest.split_once('/')).is_none_or(|(_, path)| !path.is_empty()) {
        lead_to(path);
    }
}
