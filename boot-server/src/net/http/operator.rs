//! `/healthz` and `/metrics`: for the operator's own programs. Not told as events, which are about
//! machines.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::routing::any;

use crate::metrics::Metrics;

/// The content type that `/metrics` has in both OpenMetrics and Prometheus.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Both endpoints.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(metrics: Arc<Metrics>) -> Router<S> {
    Router::new()
        .route("/healthz", any(|| async { "ok\n" }))
        .route("/metrics", any(handle))
        .with_state(metrics)
}

async fn handle(
    State(metrics): State<Arc<Metrics>>,
) -> ([(axum::http::HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, METRICS)], metrics.render())
}
