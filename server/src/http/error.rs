//! Errors as answers: the service's own as JSON with its status.

use axum::{
    Json,
    body::Body,
    http::{Response as HttpResponse, StatusCode},
    response::{IntoResponse, Response},
};
use domain::api::ApiError;
use std::any::Any;

/// The service's error on its way out.
pub(super) struct Failure(pub(super) ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

/// A panic ends one request, not the server.
pub(super) fn panicked(cause: Box<dyn Any + Send + 'static>) -> HttpResponse<Body> {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("unknown"), "a request panicked");
    Failure(ApiError::internal("Something went wrong on the server; its log says what.")).into_response()
}
