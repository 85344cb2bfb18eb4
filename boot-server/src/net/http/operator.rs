//! `/healthz` and `/metrics`: for the operator's own programs. Not told as events, which are about
//! machines.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::any;

use crate::metrics::Metrics;

/// The content type that `/metrics` has in both OpenMetrics and Prometheus.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns both endpoints.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(metrics: Arc<Metrics>) -> Router<S> {
    Router::new()
        .route("/healthz", any(health))
        .route("/metrics", any(handle))
        .with_state(metrics)
}

/// 503 while machines cannot be given leases, so that a load balancer or a probe notices.
async fn health(State(metrics): State<Arc<Metrics>>) -> (StatusCode, &'static str) {
    match metrics.keeps_leases() {
        true => (StatusCode::OK, "ok\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "leases cannot be kept: see the log\n",
        ),
    }
}

async fn handle(
    State(metrics): State<Arc<Metrics>>,
) -> ([(axum::http::HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, METRICS)], metrics.render())
}

#[cfg(test)]
mod tests {
    use boot_server_events::{BootEvent, LeaseFileState};

    use super::*;

    #[tokio::test]
    async fn health_while_leases_cannot_be_kept_is_503() {
        let metrics = Arc::new(Metrics::default());
        let status = async || health(State(Arc::clone(&metrics))).await.0;
        assert_eq!(status().await, StatusCode::OK);
        let broken = BootEvent::LeaseFile {
            result: LeaseFileState::Failing("disk full".into()),
        };
        metrics.count(&broken);
        assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
        let kept = BootEvent::LeaseFile {
            result: LeaseFileState::Kept("kept again".into()),
        };
        metrics.count(&kept);
        assert_eq!(status().await, StatusCode::OK);
    }
}
