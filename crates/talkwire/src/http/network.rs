//! `GET /api/v1/network`: the nodes and links of each place as its devices tell them, who said it, and what changed.

use super::problem::{Params, Problem};
use super::who::{Who, ok};
use super::{Answer, Shared, read};
use crate::network::{self, Place, Report, Told};
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use talkwire_core::device::Device;
use talkwire_core::effect::EventRow;
use talkwire_proto::{DeviceKey, Site, Tenant};
use talkwire_store::{Reader, StoreError};

const HOUR_MS: i64 = 3_600_000;
/// Longest history, in hours.
const MOST_HOURS: i64 = 168;
/// A device's pictures of the network are looked at so often within the time that is asked for.
const PICTURES: i64 = 120;
/// At most so many devices of a place are asked for what they see.
const SPEAKERS: usize = 200;
/// So many events from before the time that is asked for are looked through for the picture that was the last then.
const EARLIER: usize = 500;
/// A picture that nobody renewed for so long is not drawn.
const STALE_MS: i64 = 7 * 24 * HOUR_MS;
/// Events that move somebody, or cut a link.
const MOVING: [&str; 5] = ["wifi.", "network.", "mesh.", "wan.", "system.restart"];

/// Which place, and how far back.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    tenant: Option<Tenant>,
    site: Option<Site>,
    hours: Option<i64>,
}

/// The places, each with its network.
pub async fn places(State(house): State<Shared>, Params(wanted): Params<Wanted>, _who: Who) -> Answer {
    let hours = wanted.hours.unwrap_or(24);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Problem::bad_request(format!("`hours` is {hours}, but must be from 1 to {MOST_HOURS}")));
    }
    let known = house.hub.read(move |core| {
        let here = |device: &&Device| {
            wanted.tenant.as_ref().is_none_or(|tenant| device.key.tenant == *tenant) && wanted.site.as_ref().is_none_or(|site| device.key.site == *site)
        };
        json!(core.devices().filter(here).map(network::slim).collect::<Vec<_>>())
    });
    let known: Vec<Device> = serde_json::from_value(known.await?).map_err(|_| Problem::internal("the devices could not be read"))?;
    let now_ms = house.clock.now_ms();
    let from_ms = now_ms - hours * HOUR_MS;
    let mut places: BTreeMap<(Tenant, Site), Place> = BTreeMap::new();
    for device in known {
        places.entry((device.key.tenant.clone(), device.key.site.clone())).or_default().known.push(device);
    }
    let items = read(&house, move |reader| {
        let drawn = places.into_iter().map(|((tenant, site), mut place)| {
            // Where there are very many, those that others hang on are asked first.
            place.known.sort_by_key(|device| !network::carries(device));
            for key in place.known.iter().map(|device| device.key.clone()).take(SPEAKERS).collect::<Vec<_>>() {
                hear(reader, &key, from_ms, now_ms, &mut place)?;
            }
            let mut value = network::draw(&place, from_ms);
            (value["tenant"], value["site"]) = (json!(tenant), json!(site));
            Ok(value)
        });
        drawn.collect::<Result<Vec<Value>, StoreError>>()
    });
    ok(json!({"items": items.await?, "from_ms": from_ms, "to_ms": now_ms, "next": null}))
}

/// What a device told of the network: its pictures, thinned, and its events.
fn hear(reader: &Reader, key: &DeviceKey, from_ms: i64, now_ms: i64, place: &mut Place) -> Result<(), StoreError> {
    let step_ms = (now_ms - from_ms) / PICTURES + 1;
    let mut taken = BTreeSet::new();
    let mut earlier = 0;
    let rows = reader.events_picked(key, |event_type, received_ms| {
        earlier += usize::from(received_ms < from_ms);
        if earlier > EARLIER {
            return None;
        }
        if event_type.starts_with("topology.") {
            let recent = received_ms >= from_ms;
            // Of those from before the time that is asked for, the last one: it says what was there at its start.
            let is_first = received_ms >= now_ms - STALE_MS && taken.insert((event_type.to_owned(), if recent { received_ms / step_ms } else { -1 }));
            return Some(is_first);
        }
        Some(received_ms >= from_ms && MOVING.iter().any(|family| event_type.starts_with(family)))
    })?;
    for row in rows {
        let EventRow { event_type, data, received_ms, severity, .. } = row;
        let source = key.device_id.as_str().to_owned();
        match event_type.strip_prefix("topology.") {
            Some(part) => place.reports.push(Report { source, part: part.to_owned(), at_ms: received_ms, data }),
            None => place.events.push(Told { source, event_type, severity, at_ms: received_ms, data }),
        }
    }
    Ok(())
}
