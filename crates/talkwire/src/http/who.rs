//! Who sends a request: the console by its cookie, a program by the owner's token, or a guest of this machine.

use super::problem::Problem;
use super::{Answer, Shared};
use crate::identity::{is_local_host, is_local_origin};
use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderValue, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use talkwire_core::{Principal, Refusal};
use talkwire_proto::Code;

const COOKIE: &str = "talkwire_session";

/// Whoever sends a request.
pub struct Who(pub Principal);

impl FromRequestParts<Shared> for Who {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, house: &Shared) -> Result<Self, Problem> {
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
            let who = token.and_then(|token| house.identity.by_token(token));
            return who
                .map(Self)
                .ok_or_else(|| Refusal::new(Code::AuthRequired, "the token is not the owner's; it stands in owner.token of the data folder").into());
        }
        let who = cookie(&parts.headers).and_then(|value| house.identity.by_cookie(value));
        Ok(Self(who.unwrap_or_else(|| Principal::Guest { name: "http".into() })))
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|text| text.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Refuses pages and names from elsewhere: foreign `Origin`, rebound `Host`. Adds the headers that every answer has.
pub async fn only_from_here(request: Request, next: Next) -> Response {
    if !is_from_here(request.headers()) {
        return Problem::from(Refusal::new(Code::Forbidden, "this server answers requests from this machine only; open http://127.0.0.1 or http://localhost"))
            .into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    text(header::HOST).is_none_or(is_local_host) && text(header::ORIGIN).is_none_or(is_local_origin)
}

/// `POST /api/v1/session/local`: the console of this machine becomes the owner.
pub async fn open_local(State(house): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    // A browser page must be one of this machine's: `only_from_here` saw to it. A cookie that still counts is renewed.
    let fetched_cross_site = headers.get("sec-fetch-site").is_some_and(|value| value == "cross-site");
    if fetched_cross_site {
        return Err(Refusal::new(Code::Forbidden, "open the console itself; other pages may not sign in").into());
    }
    let opened = house.identity.open_session();
    let ws_port = house.listeners.iter().find(|(kind, _)| kind == "websocket").map(|(_, addr)| addr.port());
    let body = json!({
        "principal": {"name": "owner", "role": "admin"},
        "mqtt": {"username": opened.mqtt_username, "password": opened.mqtt_password},
        "ws_port": ws_port,
        "version": env!("CARGO_PKG_VERSION"),
    });
    let mut response = Json(body).into_response();
    let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", opened.cookie);
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_str(&cookie).map_err(|_| Problem::internal("the cookie cannot be written"))?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// An answer in JSON.
pub fn ok(value: serde_json::Value) -> Answer {
    Ok(Json(value))
}
