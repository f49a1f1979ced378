//! The router: pages and server functions by Leptos, and the routes that are not requests of `domain::api`.

mod assets;
mod draft;
mod error;
mod events;
mod files;
mod form;
mod guard;
mod import;
mod log;
mod models;
mod scratch;

use crate::site;
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, Request, State},
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use domain::api::ApiError;
use error::Failure;
use leptos::{config::LeptosOptions, context::provide_context};
use leptos_axum::LeptosRoutes;
use service::Service;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, trace::TraceLayer};

/// What handlers need.
#[derive(Clone)]
pub struct AppState {
    pub service: Service,
    /// Cancelled when the server is to stop: streams that would go on for ever end then.
    pub stopping: CancellationToken,
    /// This program, for work that needs much memory for a moment: it has a process of its own, which gives it back.
    program: PathBuf,
    leptos: LeptosOptions,
}

impl AppState {
    pub fn new(service: Service, stopping: CancellationToken) -> Self {
        scratch::clear(service.data_dir());
        let leptos = LeptosOptions::builder().output_name("anneal").build();
        let program = std::env::current_exe().unwrap_or_else(|_| "anneal".into());
        Self { service, stopping, program, leptos }
    }

    /// Another program than the running one, as in tests.
    pub fn with_program(self, program: PathBuf) -> Self {
        Self { program, ..self }
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}

/// The largest request besides an import: a recipe is a few kilobytes, a thousand ids are forty.
const LARGEST: usize = 1 << 20;

/// Everything the server answers.
pub fn router(state: AppState) -> Router {
    let context = context(&state);
    let (routes, _) =
        leptos_axum::generate_route_list_with_exclusions_and_ssg_and_context(app::shell::App, None, context.clone());
    let limited = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/assets/{name}", get(assets::serve))
        .route("/api/runs/{id}/events", get(events::watch))
        .route("/api/runs/{id}/files/{name}", get(files::serve))
        .route("/api/runs/{id}/log", get(log::serve))
        .route("/api/models/add", post(models::add))
        .leptos_routes_with_context(&state, routes, context, app::shell::shell)
        .route("/api/{*path}", any(unknown_api))
        .fallback(unknown_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(RequestBodyLimitLayer::new(LARGEST));
    // Streamed into the database: its size is bounded by the disk alone.
    let import = Router::new()
        .route("/api/traces/import", post(import::receive))
        .route("/api/models/upload", post(models::upload))
        .route("/api/models/import", post(models::import))
        .layer(DefaultBodyLimit::disable());
    limited
        .merge(import)
        .layer(middleware::from_fn(guard::same_origin))
        .layer(middleware::from_fn(guard::headers))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}

/// What pages and server functions find in their context.
fn context(state: &AppState) -> impl Fn() + Clone + Send + Sync + 'static + use<> {
    let service = state.service.clone();
    let assets = site::assets();
    move || {
        provide_context(service.clone());
        provide_context(assets.clone());
    }
}

async fn unknown_api(request: Request) -> Failure {
    Failure(ApiError::not_found(format!("There is no {} in this API.", request.uri().path())))
}

async fn wrong_method(request: Request) -> Response {
    let message = format!("{} does not take {}.", request.uri().path(), request.method());
    (StatusCode::METHOD_NOT_ALLOWED, axum::Json(ApiError::not_found(message))).into_response()
}

/// The application's own page for an address it does not know.
async fn unknown_page(State(state): State<AppState>, request: Request) -> Response {
    let render = leptos_axum::render_app_async_with_context(context(&state), app::shell::shell);
    let mut page = render(request).await.into_response();
    *page.status_mut() = StatusCode::NOT_FOUND;
    page
}
