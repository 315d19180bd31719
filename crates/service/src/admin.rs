//! The admin listener of every stage: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::health::{Health, PartState};
use crate::metrics::Metrics;
use crate::stop::Stop;

/// The `[admin]` section, the same in every stage's file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Where `/healthz`, `/readyz` and `/metrics` are served; absent is nowhere.
    pub listen: Option<SocketAddr>,
}

#[derive(Clone)]
struct Shared {
    health: Health,
    metrics: Metrics,
}

/// Serves until `stop`, if the configuration names a listener. Gives the bound address.
///
/// # Errors
/// If the address can't be bound.
pub async fn serve_admin(
    config: &AdminConfig,
    health: Health,
    metrics: Metrics,
    stop: Stop,
) -> std::io::Result<Option<SocketAddr>> {
    let Some(listen) = config.listen else { return Ok(None) };
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    let app = admin_routes(health, metrics);
    tokio::spawn(async move {
        let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
            stop.asked().await;
        });
        if let Err(error) = serving.await {
            tracing::error!(kind = ?error.kind(), "admin listener ended");
        }
    });
    Ok(Some(bound))
}

/// The three routes, for a stage that serves them on a listener of its own.
pub fn admin_routes(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Shared { health, metrics })
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let mut body = String::new();
    for (name, state) in shared.health.parts() {
        match state {
            PartState::Ready => body.push_str(&format!("{name}: ready\n")),
            PartState::NotReady(reason) => body.push_str(&format!("{name}: {reason}\n")),
        }
    }
    let status =
        if shared.health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, body).into_response()
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.encode()).into_response()
}
