//! Diagnosis sessions and intents.

use super::problem::{Body, Params, Path, Problem};
use super::who::{Who, ok};
use super::{Answer, Paging, Shared, page, read};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use talkwire_core::Ask;
use talkwire_core::session::Session;

#[derive(Debug, Deserialize)]
pub struct Complaint {
    user_request: String,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    site: Option<String>,
}

/// A session in the diagnostics document's structure, with what we add beside it.
fn shape(session: &Session) -> Value {
    json!({
        "session_id": session.session_id,
        "session": {
            "session_id": session.session_id, "created_at": session.created_at, "ended_at": session.ended_at,
            "user_request": session.user_request, "status": session.status, "steps": session.steps,
        },
        "tenant": session.tenant, "site": session.site, "asked_by": session.asked_by,
        "intent": session.intent, "verdict": session.verdict, "changeset_id": session.changeset_id,
        "text": if session.closing.is_empty() { &session.opening } else { &session.closing },
    })
}

pub async fn open(State(house): State<Shared>, Who(who): Who, Body(complaint): Body<Complaint>) -> Result<Response, Problem> {
    let text = talkwire_core::chat::check_text(&complaint.user_request)?;
    let place = match (complaint.tenant, complaint.site) {
        (Some(tenant), Some(site)) => Some((tenant, site)),
        (None, None) => None,
        _ => return Err(Problem::bad_request("give `tenant` and `site` together, or neither")),
    };
    let session = house.hub.complain(who, text, place).await?;
    let session: Session = serde_json::from_value(session).map_err(|error| Problem::internal(error.to_string()))?;
    Ok((StatusCode::CREATED, Json(shape(&session))).into_response())
}

pub async fn list(State(house): State<Shared>, Params(paging): Params<Paging>, _who: Who) -> Answer {
    let limit = paging.limit()?;
    let found = read(&house, move |reader| reader.sessions(limit, paging.after.as_deref())).await?;
    Ok(page(found, |session| shape(&session)))
}

pub async fn one(State(house): State<Shared>, Path(id): Path<String>, _who: Who) -> Answer {
    let wanted = id.clone();
    let found = read(&house, move |reader| reader.session(&wanted)).await?;
    found.map(|session| Json(shape(&session))).ok_or_else(|| Problem::not_found(format!("no session {id} is known")))
}

pub async fn cancel(State(house): State<Shared>, Path(id): Path<String>, Who(who): Who) -> Answer {
    let session: Session = serde_json::from_value(house.hub.ask(who, Ask::CancelSession(id)).await?).map_err(|error| Problem::internal(error.to_string()))?;
    ok(shape(&session))
}

#[derive(Debug, Deserialize)]
pub struct Sentence {
    text: String,
}

pub async fn intent(_who: Who, Body(sentence): Body<Sentence>) -> Answer {
    let text = talkwire_core::chat::check_text(&sentence.text)?;
    ok(crate::mind::intent_json(&text))
}
