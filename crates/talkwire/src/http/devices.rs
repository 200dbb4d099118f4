//! Devices and commands.

use super::problem::{Body, Params, Path, Problem};
use super::who::{Who, ok};
use super::{Answer, Paging, Shared, page, read};
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use talkwire_core::device::Device;
use talkwire_core::effect::{EventRow, Notice, Sample};
use talkwire_core::{Ask, Refusal};
use talkwire_proto::{Code, DeviceId, DeviceKey, limits};
use talkwire_store::Fold;

type Three = (String, String, String);

fn key((tenant, site, device_id): Three) -> Result<DeviceKey, Problem> {
    let wrong = |error: talkwire_proto::id::BadId| Problem::bad_request(error.to_string());
    Ok(DeviceKey { tenant: tenant.parse().map_err(wrong)?, site: site.parse().map_err(wrong)?, device_id: DeviceId::from_door(&device_id).map_err(wrong)? })
}

/// The device that a path names, when it is known.
async fn known(house: &Shared, path: Three) -> Result<DeviceKey, Problem> {
    let key = key(path)?;
    let wanted = key.clone();
    let is_known = house.hub.read(move |core| json!(core.device(&wanted).is_some())).await?;
    if is_known == json!(true) { Ok(key) } else { Err(unknown(&key)) }
}

fn unknown(key: &DeviceKey) -> Problem {
    Problem::not_found(format!("no device {key} is known; GET /api/v1/devices lists them"))
}

/// A device in a list.
pub fn brief(device: &Device) -> Value {
    json!({
        "tenant": device.key.tenant, "site": device.key.site, "device_id": device.key.device_id, "name": device.name,
        "device_type": device.device_type, "model": device.model, "online": device.online, "presence_since_ms": device.presence_since_ms,
        "health": device.health, "last_seen_ms": device.last_seen_ms, "first_seen_ms": device.first_seen_ms,
        "capabilities": if device.tools.is_empty() { device.features.clone() } else { device.available_ops() },
    })
}

#[derive(Debug, Default, Deserialize)]
pub struct Filter {
    limit: Option<usize>,
    after: Option<String>,
    tenant: Option<String>,
    site: Option<String>,
}

pub async fn list(State(house): State<Shared>, Params(filter): Params<Filter>, _who: Who) -> Answer {
    let limit = Paging { limit: filter.limit.or(Some(200)), after: None }.limit()?;
    let value = house.hub.read(move |core| {
        let wanted = core.devices().filter(|device| {
            filter.tenant.as_ref().is_none_or(|tenant| device.key.tenant.as_str() == tenant)
                && filter.site.as_ref().is_none_or(|site| device.key.site.as_str() == site)
        });
        let mut rest = wanted.filter(|device| filter.after.as_ref().is_none_or(|after| device.key.to_string() > *after)).peekable();
        let (mut items, mut last) = (Vec::new(), None);
        while let Some(device) = rest.next_if(|_| items.len() < limit) {
            last = Some(device.key.to_string());
            items.push(brief(device));
        }
        json!({"items": items, "next": last.filter(|_| rest.peek().is_some())})
    });
    ok(value.await?)
}

pub async fn one(State(house): State<Shared>, Path(path): Path<Three>, _who: Who) -> Answer {
    let key = key(path)?;
    let wanted = key.clone();
    let value = house.hub.read(move |core| {
        core.device(&wanted).map_or(Value::Null, |device| {
            let mut value = brief(device);
            value["attr"] = device.attr.clone();
            value["state"] = device.state.clone();
            value["tools"] = json!(device.tools);
            value["diagnostics"] = json!(device.diagnostics);
            value["ways_back"] = ways_back(device);
            value
        })
    });
    match value.await? {
        Value::Null => Err(unknown(&key)),
        value => ok(value),
    }
}

#[derive(Debug, Deserialize)]
pub struct Place {
    tenant: String,
    site: String,
}

/// What devices say of the network of a site: hearsay, each thing with who said it.
pub async fn topology(State(house): State<Shared>, Params(place): Params<Place>, _who: Who) -> Answer {
    let wrong = |error: talkwire_proto::id::BadId| Problem::bad_request(error.to_string());
    let (tenant, site) = (place.tenant.parse().map_err(wrong)?, place.site.parse().map_err(wrong)?);
    ok(house.hub.read(move |core| json!(core.topology(&tenant, &site))).await?)
}

/// What is known of the way back of each tool that says that it goes back by itself: `proven`, `failed`, or `claimed` alone.
fn ways_back(device: &Device) -> Value {
    let claims = device.tools.iter().filter(|(_, support)| support.rollback_supported == Some(true));
    let known = claims.map(|(name, _)| (name.clone(), device.way_back(name).map_or_else(|| json!({"state": "claimed"}), |known| json!(known))));
    Value::Object(known.collect())
}

/// An event in a list.
pub fn event(event: EventRow) -> Value {
    json!({"device_id": event.key.device_id, "event_type": event.event_type, "severity": event.severity, "data": event.data, "ts_ms": event.ts_ms, "received_ms": event.received_ms, "flagged": event.flag.is_some(), "flag": event.flag})
}

pub async fn events(State(house): State<Shared>, Path(path): Path<Three>, Params(paging): Params<Paging>, _who: Who) -> Answer {
    let (key, limit) = (known(&house, path).await?, paging.limit()?);
    let found = read(&house, move |reader| reader.events(&key, limit, paging.after.as_deref())).await?;
    Ok(page(found, event))
}

pub async fn metrics(State(house): State<Shared>, Path(path): Path<Three>, _who: Who) -> Answer {
    let key = known(&house, path).await?;
    let found = read(&house, move |reader| reader.metrics(&key)).await?;
    ok(json!({"items": found, "next": null}))
}

#[derive(Debug, Default, Deserialize)]
pub struct Range {
    limit: Option<usize>,
    after: Option<String>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    points: Option<i64>,
}

/// Most points of a thinned metric.
const MOST_POINTS: i64 = 500;

pub async fn telemetry(
    State(house): State<Shared>,
    Path((tenant, site, device_id, metric)): Path<(String, String, String, String)>,
    Params(range): Params<Range>,
    _who: Who,
) -> Answer {
    let key = known(&house, (tenant, site, device_id)).await?;
    let limit = Paging { limit: range.limit, after: None }.limit()?;
    let (from_ms, to_ms) = (range.from_ms.unwrap_or(0), range.to_ms.unwrap_or(i64::MAX));
    if let Some(points) = range.points {
        let (Some(from_ms), Some(to_ms)) = (range.from_ms, range.to_ms.filter(|to_ms| *to_ms > from_ms)) else {
            return Err(Problem::bad_request("`points` needs `from_ms` and a later `to_ms`: the time that they are spread over"));
        };
        if !(2..=MOST_POINTS).contains(&points) {
            return Err(Problem::bad_request(format!("`points` is {points}, but must be from 2 to {MOST_POINTS}")));
        }
        // Steps start at multiples of their length: the same question a little later is answered with the same points, and newer ones.
        let step_ms = to_ms.saturating_sub(from_ms) / points + 1;
        let found = read(&house, move |reader| reader.telemetry_thinned(&key, &metric, from_ms, to_ms, step_ms)).await?;
        return ok(json!({"items": found.into_iter().map(thinned).collect::<Vec<_>>(), "step_ms": step_ms, "next": null}));
    }
    let found = read(&house, move |reader| reader.telemetry(&key, &metric, from_ms, to_ms, limit, range.after.as_deref())).await?;
    Ok(page(
        found,
        |sample: Sample| json!({"ts_ms": sample.ts_ms, "received_ms": sample.received_ms, "late": sample.received_ms - sample.ts_ms > limits::TS_BEHIND_MS, "value": sample.value, "unit": sample.unit, "body": sample.body}),
    ))
}

/// What is left of some samples: their mean, the lowest and the highest.
fn thinned(fold: Fold) -> Value {
    json!({"ts_ms": fold.start_ms, "value": fold.sum / fold.count.max(1) as f64, "min": fold.min, "max": fold.max, "count": fold.count, "unit": fold.unit})
}

pub async fn commands(State(house): State<Shared>, Path(path): Path<Three>, Params(paging): Params<Paging>, _who: Who) -> Answer {
    let (key, limit) = (known(&house, path).await?, paging.limit()?);
    let found = read(&house, move |reader| reader.commands(Some(&key), limit, paging.after.as_deref())).await?;
    Ok(page(found, |command| json!(command)))
}

pub async fn all_commands(State(house): State<Shared>, Params(paging): Params<Paging>, _who: Who) -> Answer {
    let limit = paging.limit()?;
    let found = read(&house, move |reader| reader.commands(None, limit, paging.after.as_deref())).await?;
    Ok(page(found, |command| json!(command)))
}

#[derive(Debug, Deserialize)]
pub struct CommandBody {
    tenant: String,
    site: String,
    device_id: String,
    op: String,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    timeout_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Wait {
    #[serde(default)]
    wait: bool,
}

/// Longest time that a request waits for a command, beyond the command's own time-out.
const WAIT_MORE: Duration = Duration::from_secs(5);

pub async fn send_command(State(house): State<Shared>, Params(wait): Params<Wait>, Who(who): Who, Body(body): Body<CommandBody>) -> Answer {
    let key = key((body.tenant, body.site, body.device_id))?;
    let mut notices = house.hub.notices();
    let command = house.hub.ask(who, Ask::Command { key, op: body.op, args: body.args, timeout_ms: body.timeout_ms }).await?;
    if !wait.wait {
        return ok(command);
    }
    let id = command["id"].as_str().unwrap_or_default().to_owned();
    let most = Duration::from_millis(command["timeout_ms"].as_u64().unwrap_or(60_000) * 2) + WAIT_MORE;
    let ended = tokio::time::timeout(most, async {
        loop {
            match notices.recv().await {
                Ok(Notice::Command(command)) if command.id == id && command.status.has_ended() => return Some(json!(command)),
                Ok(_) => {}
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                    let wanted = id.clone();
                    let now = house
                        .hub
                        .read(move |core| core.command(&wanted).filter(|command| command.status.has_ended()).map_or(Value::Null, |command| json!(command)))
                        .await
                        .ok()?;
                    if !now.is_null() {
                        return Some(now);
                    }
                }
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    match ended.await {
        Ok(Some(command)) => ok(command),
        _ => Err(Refusal::new(Code::Timeout, "the command has not ended yet; ask for it again by its id").with("id", id).into()),
    }
}

pub async fn command(State(house): State<Shared>, Path(id): Path<String>, _who: Who) -> Answer {
    let wanted = id.clone();
    let found = read(&house, move |reader| reader.command(&wanted)).await?;
    found.map(|command| axum::Json(json!(command))).ok_or_else(|| Problem::not_found(format!("no command {id} is known")))
}

pub async fn cancel_command(State(house): State<Shared>, Path(id): Path<String>, Who(who): Who) -> Answer {
    ok(house.hub.ask(who, Ask::CancelCommand(id)).await?)
}
