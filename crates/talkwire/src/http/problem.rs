//! Errors as problem details (RFC 9457) with our stable code.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use talkwire_core::Refusal;
use talkwire_proto::Code;
use talkwire_store::StoreError;

/// A refusal on its way out.
#[derive(Debug)]
pub struct Problem(Refusal);

impl Problem {
    /// A request that is wrong in itself.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self(Refusal::new(Code::BadRequest, detail))
    }
    /// Nothing there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self(Refusal::new(Code::NotFound, detail))
    }
    /// A defect of ours.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self(Refusal::new(Code::Internal, detail))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor(_) => Self::bad_request(error.to_string()),
            other => {
                tracing::error!(error = %other, "a read failed");
                Self(Refusal::new(if other.may_pass() { Code::StoreUnavailable } else { Code::Internal }, other.to_string()))
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.0.code;
        // The table of codes holds valid status numbers only.
        let status = StatusCode::from_u16(code.http_class()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = Map::new();
        body.insert("type".into(), json!(format!("urn:talkwire:error:{code}")));
        body.insert("title".into(), json!(status.canonical_reason().unwrap_or("error")));
        body.insert("status".into(), json!(status.as_u16()));
        body.insert("detail".into(), json!(self.0.message));
        body.insert("code".into(), json!(code));
        body.extend(self.0.details);
        let mut response = (status, Json(Value::Object(body))).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(code, Code::RateLimited | Code::StoreUnavailable) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A JSON body; what is wrong with it is said as a problem.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(JsonRejection::BytesRejection(_)) => Err(Problem(Refusal::new(Code::TooLarge, "the body is larger than 256 KiB; send less"))),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Problem::bad_request("the body must be JSON: send the header `Content-Type: application/json`"))
            }
            Err(other) => Err(Problem::bad_request(other.body_text())),
        }
    }
}

/// Query parameters; what is wrong with them is said as a problem.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|error: QueryRejection| Problem::bad_request(error.body_text()))
    }
}

/// For paths of the API that do not exist.
pub async fn no_such_route() -> Problem {
    Problem::not_found("no such path in the API; the README lists them")
}
