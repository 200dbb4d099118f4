//! The other end of a device's speed test: bytes that mean nothing, in both directions, within bounds that keep it from being a flood.
//!
//! Anybody who reaches the port may use it, since a router has no session here. At most [`STREAMS`] transfers run at a time, none is longer
//! than [`MOST_BYTES`] or [`LONGEST`]; the next is refused at once with `E_RATE_LIMITED`.

use super::problem::{Params, Problem};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use talkwire_core::Refusal;
use talkwire_proto::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Transfers of everybody together: two tests of sixteen streams.
const STREAMS: usize = 32;
/// Bytes of one transfer.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
const USUAL_BYTES: u64 = 8 * 1024 * 1024;
/// A transfer that is not done by then no longer counts, and an upload ends.
const LONGEST: Duration = Duration::from_secs(90);
const CHUNK: usize = 64 * 1024;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(STREAMS)));
/// Bytes that no link can make smaller: the xorshift generator with a fixed seed.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()
    };
    (0..CHUNK / 8).flat_map(|_| next()).collect()
});

/// The two routes, for a port of their own or beside the others.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/api/v1/speedtest/down", get(down)).route("/api/v1/speedtest/up", post(up))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    bytes: Option<u64>,
}

fn place() -> Result<OwnedSemaphorePermit, Problem> {
    PLACES
        .clone()
        .try_acquire_owned()
        .map_err(|_| Refusal::new(Code::RateLimited, format!("{STREAMS} transfers are running; try again when one has ended")).into())
}

/// `GET /api/v1/speedtest/down?bytes=N`
async fn down(Params(wanted): Params<Wanted>) -> Result<Response, Problem> {
    let bytes = wanted.bytes.unwrap_or(USUAL_BYTES);
    if !(1..=MOST_BYTES).contains(&bytes) {
        return Err(Problem::bad_request(format!("`bytes` is {bytes}, but must be from 1 to {MOST_BYTES}")));
    }
    let place = place()?;
    // Whoever stops reading must not keep the place for ever.
    let (ended, end) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let _ = timeout(LONGEST, end).await;
        drop(place);
    });
    let chunks = stream::unfold((bytes, ended), |(left, ended)| async move {
        let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        (length > 0).then(|| (Ok::<_, std::convert::Infallible>(NOISE.slice(..length)), (left - length as u64, ended)))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `POST /api/v1/speedtest/up`
async fn up(request: Request) -> Result<Response, Problem> {
    let _place = place()?;
    let too_large = || Problem::from(Refusal::new(Code::TooLarge, format!("a transfer has at most {MOST_BYTES} bytes; send several")));
    let told = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|bytes| bytes > MOST_BYTES) {
        return Err(too_large());
    }
    let mut body = request.into_body().into_data_stream();
    let count = async {
        let mut count = 0;
        while let Some(chunk) = body.next().await {
            count += chunk.map_err(|_| Problem::bad_request("the transfer broke off"))?.len() as u64;
            if count > MOST_BYTES {
                return Err(too_large());
            }
        }
        Ok(count)
    };
    let count = timeout(LONGEST, count).await.map_err(|_| Problem::bad_request(format!("the transfer was not done within {} s", LONGEST.as_secs())))??;
    Ok((StatusCode::OK, Json(json!({"bytes": count}))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn wanted(bytes: u64) -> Result<Response, Problem> {
        down(Params(Wanted { bytes: Some(bytes) })).await
    }

    #[tokio::test]
    async fn as_many_bytes_come_as_were_asked_for_and_no_more_than_allowed() {
        for bytes in [1, CHUNK as u64, CHUNK as u64 + 1] {
            let response = wanted(bytes).await.unwrap();
            assert_eq!(response.headers()[header::CONTENT_LENGTH], bytes.to_string());
            assert_eq!(to_bytes(response.into_body(), usize::MAX).await.unwrap().len() as u64, bytes);
        }
        assert!(wanted(0).await.is_err() && wanted(MOST_BYTES + 1).await.is_err());
        assert_ne!(NOISE[..8], NOISE[8..16], "it is noise");
    }

    #[tokio::test]
    async fn what_is_sent_is_counted() {
        let sent = up(Request::new(Body::from(vec![0; 100_000]))).await.unwrap();
        let body = to_bytes(sent.into_body(), 1000).await.unwrap();
        assert_eq!(body, r#"{"bytes":100000}"#);
        let told = Request::builder().header(header::CONTENT_LENGTH, MOST_BYTES + 1).body(Body::empty()).unwrap();
        assert_eq!(up(told).await.unwrap_err().into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
