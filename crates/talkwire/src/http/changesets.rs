//! Change sets and receipts.

use super::problem::{Body, Params, Path, Problem};
use super::who::{Who, ok};
use super::{Answer, Paging, Shared, page, read};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use talkwire_core::changeset::{Changeset, view};
use talkwire_core::{Ask, receipt as proof};
use talkwire_proto::DeviceKey;

/// A set with its card and, where it has one, its receipt.
fn shape(set: &Changeset, receipt: Option<Value>) -> Value {
    let mut value = json!(set);
    value["view"] = json!(view(set));
    value["receipt"] = json!(receipt);
    value
}

#[derive(Debug, Deserialize)]
pub struct Filter {
    limit: Option<usize>,
    after: Option<String>,
    status: Option<talkwire_core::changeset::Status>,
}

pub async fn list(State(house): State<Shared>, Params(filter): Params<Filter>, _who: Who) -> Answer {
    let limit = Paging { limit: filter.limit, after: None }.limit()?;
    let found = read(&house, move |reader| reader.changesets(limit, filter.after.as_deref(), filter.status)).await?;
    Ok(page(found, |set| shape(&set, None)))
}

pub async fn one(State(house): State<Shared>, Path(id): Path<String>, _who: Who) -> Answer {
    let wanted = id.clone();
    let (set, receipt) = read(&house, move |reader| Ok((reader.changeset(&wanted)?, reader.receipt(&wanted)?))).await?;
    set.map(|set| Json(shape(&set, receipt))).ok_or_else(|| Problem::not_found(format!("no change set {id} is known")))
}

#[derive(Debug, Deserialize)]
pub struct Wanted {
    operations: Vec<WantedOperation>,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
pub struct WantedOperation {
    #[serde(flatten)]
    device: DeviceKey,
    op: String,
    #[serde(default)]
    args: Map<String, Value>,
}

pub async fn propose(State(house): State<Shared>, Who(who): Who, Body(wanted): Body<Wanted>) -> Result<Response, Problem> {
    let operations = wanted.operations.into_iter().map(|operation| (operation.device, operation.op, operation.args)).collect();
    let set = house.hub.ask(who, Ask::Propose { operations, reason: wanted.reason }).await?;
    Ok((StatusCode::CREATED, Json(shape(&parse(set)?, None))).into_response())
}

#[derive(Debug, Deserialize)]
pub struct Approval {
    plan_hash: String,
}

fn parse(value: Value) -> Result<Changeset, Problem> {
    serde_json::from_value(value).map_err(|error| Problem::internal(error.to_string()))
}

pub async fn approve(State(house): State<Shared>, Path(id): Path<String>, Who(who): Who, Body(approval): Body<Approval>) -> Answer {
    let set = house.hub.ask(who, Ask::Approve { changeset_id: id, plan_hash: approval.plan_hash }).await?;
    ok(shape(&parse(set)?, None))
}

pub async fn reject(State(house): State<Shared>, Path(id): Path<String>, Who(who): Who) -> Answer {
    let set = house.hub.ask(who, Ask::Reject(id)).await?;
    ok(shape(&parse(set)?, None))
}

pub async fn rollback(State(house): State<Shared>, Path(id): Path<String>, Who(who): Who) -> Answer {
    let set = house.hub.ask(who, Ask::Rollback(id)).await?;
    ok(shape(&parse(set)?, None))
}

pub async fn settle(State(house): State<Shared>, Path(id): Path<String>, Who(who): Who) -> Answer {
    let set = house.hub.ask(who, Ask::Settle(id)).await?;
    ok(shape(&parse(set)?, None))
}

pub async fn receipt(State(house): State<Shared>, Path(id): Path<String>, _who: Who) -> Answer {
    let wanted = id.clone();
    let found = read(&house, move |reader| reader.receipt(&wanted)).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(format!("change set {id} has no receipt: one is issued when an approved change has ended")))
}

pub async fn verify(State(house): State<Shared>, _who: Who, Body(receipt): Body<Value>) -> Answer {
    ok(match proof::verify(&receipt, Some(&house.identity.public_key())) {
        Ok(key_id) => json!({"valid": true, "key_id": key_id}),
        Err(why) => json!({"valid": false, "code": talkwire_proto::Code::NotGenuine, "reason": why.to_string()}),
    })
}
