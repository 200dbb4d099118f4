//! Errors as problem details (RFC 9457) with our stable code.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use std::fmt;
use std::marker::PhantomData;
use talkwire_core::Refusal;
use talkwire_proto::Code;
use talkwire_store::StoreError;

/// A refusal on its way out.
#[derive(Debug)]
pub struct Problem {
    refusal: Refusal,
    /// When it is not the code's own.
    status: Option<StatusCode>,
}

impl Problem {
    /// A request that is wrong in itself.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Refusal::new(Code::BadRequest, detail).into()
    }
    /// Nothing there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Refusal::new(Code::NotFound, detail).into()
    }
    /// A defect of ours.
    pub fn internal(detail: impl Into<String>) -> Self {
        Refusal::new(Code::Internal, detail).into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, status: None }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor(_) => Self::bad_request(error.to_string()),
            other => {
                tracing::error!(error = %other, "a read failed");
                Refusal::new(if other.may_pass() { Code::StoreUnavailable } else { Code::Internal }, other.to_string()).into()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.refusal.code;
        // The table of codes holds valid status numbers only.
        let own = StatusCode::from_u16(code.http_class()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let status = self.status.unwrap_or(own);
        let mut body = Map::new();
        body.insert("type".into(), json!(format!("urn:talkwire:error:{code}")));
        body.insert("title".into(), json!(status.canonical_reason().unwrap_or("error")));
        body.insert("status".into(), json!(status.as_u16()));
        body.insert("detail".into(), json!(self.refusal.message));
        body.insert("code".into(), json!(code));
        body.extend(self.refusal.details);
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
        // A list would be read as an object's fields in their order, which nobody means.
        match Json::<Object<T>>::from_request(request, state).await {
            Ok(Json(Object(value))) => Ok(Self(value)),
            Err(JsonRejection::BytesRejection(_)) => Err(Refusal::new(Code::TooLarge, "the body is larger than 256 KiB; send less").into()),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Problem::bad_request("the body must be JSON: send the header `Content-Type: application/json`"))
            }
            Err(other) => Err(Problem::bad_request(other.body_text())),
        }
    }
}

/// What is read from an object and from nothing else.
struct Object<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Fields<T> {
            type Value = Object<T>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object ({…})")
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }
        from.deserialize_map(Fields(PhantomData))
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

/// Parts of the path; what is wrong with them is said as a problem.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|error: PathRejection| Problem::bad_request(error.body_text()))
    }
}

/// For methods that a path does not take.
pub async fn no_such_method(method: axum::http::Method, uri: axum::http::Uri) -> Problem {
    let detail = format!("{} does not take {method}; the header `Allow` says what it takes", uri.path());
    Problem { refusal: Refusal::new(Code::BadRequest, detail), status: Some(StatusCode::METHOD_NOT_ALLOWED) }
}

/// For paths of the API that do not exist.
pub async fn no_such_route() -> Problem {
    Problem::not_found("no such path in the API; the README lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_the_codes_show_problems_as_they_are_sent() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let mut shown = 0;
        for code in Code::ALL {
            let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap();
            for line in page.lines().filter(|line| line.starts_with("{\"type\"")) {
                let problem: Value = serde_json::from_str(line).unwrap();
                if problem["type"] == "system_message" {
                    continue; // a notice in the chat, not an answer at this door
                }
                let title = StatusCode::from_u16(code.http_class()).unwrap().canonical_reason();
                let sent = (json!(format!("urn:talkwire:error:{code}")), json!(title), json!(code.http_class()));
                assert_eq!((&problem["type"], &problem["title"], &problem["status"]), (&sent.0, &sent.1, &sent.2), "{code}");
                shown += 1;
            }
        }
        assert!(shown > 10, "the pages show examples");
    }
}
