//! The system itself: tools, causes, flows, audit, quarantine, health.

use super::problem::{Params, Problem};
use super::who::{Who, ok};
use super::{Answer, House, Paging, Shared, page, read};
use crate::outside;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use talkwire_broker::ProtocolVersion;
use talkwire_core::audit::{head_before, verify_kept};

pub async fn tools(State(house): State<Shared>, _who: Who) -> Answer {
    let value = house.hub.read(|core| {
        let items = core.catalogue().tools().map(|tool| {
            json!({
                "op": tool.op, "class": tool.class, "permission": tool.permission, "risk": tool.risk, "restores": tool.restores, "title": tool.title, "impact": tool.impact,
                "typical_ms": tool.typical_ms, "timeout_ms": tool.timeout_ms, "resource": tool.resource, "alternatives": tool.alternatives,
                "version": tool.version, "args_schema": tool.args_schema(), "result_schema": tool.result,
            })
        });
        let items: Vec<_> = items.collect();
        json!({"items": items, "next": null})
    });
    ok(value.await?)
}

pub async fn causes(_who: Who) -> Answer {
    let causes = crate::mind::mind().causes().iter().map(|cause| json!({"cause": cause.cause, "flow": cause.flows.first(), "flows": cause.flows, "severity": cause.severity, "healthy": cause.healthy, "title": cause.title, "advice": cause.advice}));
    ok(json!({"items": causes.collect::<Vec<_>>(), "next": null}))
}

pub async fn flows(_who: Who) -> Answer {
    let flows = crate::mind::mind().flows().map(|flow| json!({"flow": flow.name, "title": flow.title, "gather": flow.gather, "decisive": flow.decisive.iter().map(|entry| &entry.name).collect::<Vec<_>>()}));
    ok(json!({"items": flows.collect::<Vec<_>>(), "next": null}))
}

#[derive(Debug, Default, Deserialize)]
pub struct AuditFilter {
    limit: Option<usize>,
    after: Option<String>,
    tenant: Option<String>,
}

/// Of a long audit so many of the newest rows are checked at each look; `talkwire audit verify` checks all.
const CHECKED_ROWS: u64 = 10_000;

pub async fn audit(State(house): State<Shared>, Params(filter): Params<AuditFilter>, Who(who): Who) -> Answer {
    if !who.is_person() {
        return Err(talkwire_core::Refusal::new(
            talkwire_proto::Code::AuthRequired,
            "the audit is read by signed-in people; open the console, or send the owner's token",
        )
        .into());
    }
    let limit = Paging { limit: filter.limit, after: None }.limit()?;
    let key = house.identity.signing_key().verifying_key();
    let (found, tenants, tenant, finding) = read(&house, move |reader| {
        let tenants = reader.tenants()?;
        let tenant = filter.tenant.or_else(|| tenants.first().cloned()).unwrap_or_default();
        let found = reader.audit(&tenant, limit, filter.after.as_deref())?;
        let mut heads = reader.audit_heads(&tenant)?;
        let newest = reader.audit(&tenant, 1, None)?.items.first().map_or(0, |row| row.n);
        let mut from = 0;
        if let Some(at) = head_before(&heads, newest, CHECKED_ROWS) {
            heads.drain(..at);
            from = heads[0].n + 1;
        }
        let finding = verify_kept(&reader.audit_rows_from(&tenant, from, usize::MAX)?, &heads, &key);
        Ok((found, tenants, tenant, finding))
    })
    .await?;
    let mut body = page(found, |row| json!(row)).0;
    body["chain"] = json!({"ok": finding.fault.is_none(), "checked": finding.checked, "fault": finding.fault});
    body["tenant"] = json!(tenant);
    body["tenants"] = json!(tenants);
    ok(body)
}

pub async fn quarantine(State(house): State<Shared>, Params(paging): Params<Paging>, _who: Who) -> Answer {
    let limit = paging.limit()?;
    let found = read(&house, move |reader| reader.quarantine(limit)).await?;
    let items: Vec<_> = found.into_iter().map(|row| json!({"topic": row.topic, "reason": row.reason, "payload": String::from_utf8_lossy(&row.payload), "count": row.count, "first_ms": row.first_ms, "last_ms": row.last_ms})).collect();
    ok(json!({"items": items, "next": null}))
}

pub async fn system(State(house): State<Shared>, _who: Who) -> Answer {
    let (bytes, bad) = read(&house, |reader| Ok((reader.size_bytes()?, reader.quarantine_count()?))).await?;
    let counts = house
        .hub
        .read(|core| json!({"total": core.devices().count(), "online": core.devices().filter(|device| device.online).count(), "clients": core.client_count()}))
        .await?;
    let (received, published, commits) = house.hub.health().counts();
    let seconds = ((house.clock.now_ms() - house.clock.start_ms()) as f64 / 1000.0).max(1.0);
    let listeners: Vec<_> = house.listeners.iter().map(|(kind, addr)| json!({"kind": kind, "address": addr.to_string()})).collect();
    ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_ms": house.clock.start_ms(), "now_ms": house.clock.now_ms(),
        "listeners": listeners,
        "clients": counts["clients"],
        "devices": {"total": counts["total"], "online": counts["online"]},
        "rates": {"messages_per_s": received as f64 / seconds, "received": received, "published": published, "commits": commits},
        "store": {"bytes": bytes, "engine": "sqlite", "path": house.data.join("talkwire.db").display().to_string()},
        "assistant": {"mode": "rules"},
        "quarantine": bad,
        "degraded": house.hub.health().is_degraded(),
        "trouble": house.hub.health().trouble(),
        "broker": broker(&house),
        "device_keys": house.keys.counts(),
        "public_key": house.identity.public_key(),
    }))
}

/// The broker that is used instead of our own; null when it is our own.
fn broker(house: &House) -> Value {
    let Some(outside) = &house.outside else { return Value::Null };
    let (status, counts) = (outside.status(), outside.counts());
    let protocol = status.version.map(|version| if version == ProtocolVersion::V5 { "5" } else { "3.1.1" });
    json!({
        "address": outside.name(), "profile": outside.profile().name, "connected": status.connected, "since_ms": status.since_ms, "why": status.why,
        "protocol": protocol, "session_resumed": status.resumed, "refused_subscriptions": status.refused_filters, "waiting": outside.waiting(),
        "received": counts.received, "redelivered": counts.redelivered, "recognised": house.hub.health().repeated(), "published": counts.published,
        "refused": counts.refused, "dropped": counts.dropped, "connections": counts.connections,
    })
}

pub async fn healthz(State(house): State<Shared>) -> Answer {
    ok(json!({"status": if house.hub.health().is_degraded() { "degraded" } else { "ok" }, "trouble": house.hub.health().trouble()}))
}

/// 200 when everything accepts.
pub async fn readyz(State(house): State<Shared>) -> Response {
    let loop_answers = house.hub.read(|_| json!(true)).await.is_ok();
    let away = house.outside.as_ref().map(|outside| (outside.name(), outside.status())).filter(|(_, status)| !status.connected);
    if loop_answers && !house.hub.health().is_degraded() && away.is_none() {
        return axum::Json(json!({"status": "ready"})).into_response();
    }
    let store = Some(house.hub.health().trouble()).filter(|trouble| !trouble.is_empty());
    let trouble = store.or_else(|| away.map(|(name, status)| outside::trouble(name, &status)));
    (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({"status": "not ready", "trouble": trouble.unwrap_or_default()}))).into_response()
}

/// Prometheus text.
pub async fn metrics(State(house): State<Shared>) -> Result<String, Problem> {
    let counts = house
        .hub
        .read(|core| json!({"total": core.devices().count(), "online": core.devices().filter(|device| device.online).count(), "clients": core.client_count()}))
        .await?;
    let (received, published, commits) = house.hub.health().counts();
    let mut text = String::new();
    let mut line = |name: &str, kind: &str, help: &str, value: String| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    line("talkwire_messages_received_total", "counter", "Messages accepted and committed.", received.to_string());
    line("talkwire_messages_published_total", "counter", "Messages published by the server.", published.to_string());
    line("talkwire_commits_total", "counter", "Transactions committed.", commits.to_string());
    line("talkwire_devices", "gauge", "Devices known.", counts["total"].to_string());
    line("talkwire_devices_online", "gauge", "Devices connected.", counts["online"].to_string());
    line("talkwire_clients", "gauge", "MQTT clients connected.", counts["clients"].to_string());
    if let Some(outside) = &house.outside {
        let counts = outside.counts();
        line("talkwire_broker_connected", "gauge", "1 while the broker elsewhere is connected.", u8::from(outside.status().connected).to_string());
        line("talkwire_broker_connections_total", "counter", "Connections made to the broker elsewhere.", counts.connections.to_string());
        line("talkwire_broker_redelivered_total", "counter", "Messages that it marked as handed over before.", counts.redelivered.to_string());
        line("talkwire_broker_recognised_total", "counter", "Messages recognised as stored before.", house.hub.health().repeated().to_string());
        line("talkwire_broker_waiting", "gauge", "Messages that wait for it.", outside.waiting().to_string());
        line("talkwire_broker_dropped_total", "counter", "Messages dropped because too many waited.", counts.dropped.to_string());
        line("talkwire_broker_refused_total", "counter", "Messages that it refused or that are over its limits.", counts.refused.to_string());
    }
    line("talkwire_degraded", "gauge", "1 while the store refuses.", u8::from(house.hub.health().is_degraded()).to_string());
    Ok(text)
}
