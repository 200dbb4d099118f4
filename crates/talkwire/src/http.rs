//! The HTTP door: API, console, status pages. It writes nothing itself: changes go through the hub, history is read from the store.

mod assets;
mod changesets;
mod chat;
mod devices;
mod events;
mod network;
mod problem;
mod sessions;
mod speedtest;
mod system;
mod who;

pub use problem::Problem;
pub use speedtest::routes as speedtest_routes;

use crate::clock::Clock;
use crate::hub::HubHandle;
use crate::identity::Identity;
use crate::payload_keys::PayloadKeys;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use talkwire_broker::{BrokerHandle, OutsideHandle};
use talkwire_store::{Page, Reader, StoreError};

/// What every handler may use.
pub struct House {
    /// The loop.
    pub hub: HubHandle,
    /// History.
    pub reader: Reader,
    /// Who is who.
    pub identity: Arc<Identity>,
    /// The keys of devices that encrypt their payloads.
    pub keys: Arc<PayloadKeys>,
    /// The time.
    pub clock: Clock,
    /// The broker, unless it is switched off.
    pub broker: Option<BrokerHandle>,
    /// The broker that is used instead of our own.
    pub outside: Option<OutsideHandle>,
    /// What is listened on: kind and address.
    pub listeners: Vec<(String, SocketAddr)>,
    /// The data folder.
    pub data: PathBuf,
    /// The stop signal: long answers end with it.
    pub stopping: tokio::sync::watch::Receiver<bool>,
}

/// Shared by all handlers.
pub type Shared = Arc<House>;

/// A handler's answer.
pub type Answer = Result<axum::Json<Value>, Problem>;

/// Largest body of a request, in bytes.
const BODY_BYTES: usize = 256 * 1024;

/// All routes.
pub fn router(house: Shared) -> Router {
    let api = Router::new()
        .route("/session/local", post(who::open_local))
        .route("/devices", get(devices::list))
        .route("/devices/{tenant}/{site}/{device_id}", get(devices::one))
        .route("/devices/{tenant}/{site}/{device_id}/events", get(devices::events))
        .route("/devices/{tenant}/{site}/{device_id}/telemetry", get(devices::metrics))
        .route("/devices/{tenant}/{site}/{device_id}/telemetry/{metric}", get(devices::telemetry))
        .route("/devices/{tenant}/{site}/{device_id}/commands", get(devices::commands))
        .route("/topology", get(devices::topology))
        .route("/commands", get(devices::all_commands).post(devices::send_command))
        .route("/commands/{id}", get(devices::command))
        .route("/commands/{id}/cancel", post(devices::cancel_command))
        .route("/network", get(network::places))
        .route("/tools", get(system::tools))
        .route("/causes", get(system::causes))
        .route("/flows", get(system::flows))
        .route("/intents", post(sessions::intent))
        .route("/sessions", get(sessions::list).post(sessions::open))
        .route("/sessions/{id}", get(sessions::one))
        .route("/sessions/{id}/cancel", post(sessions::cancel))
        .route("/changesets", get(changesets::list).post(changesets::propose))
        .route("/changesets/{id}", get(changesets::one))
        .route("/changesets/{id}/approve", post(changesets::approve))
        .route("/changesets/{id}/reject", post(changesets::reject))
        .route("/changesets/{id}/rollback", post(changesets::rollback))
        .route("/changesets/{id}/settle", post(changesets::settle))
        .route("/receipts/{id}", get(changesets::receipt))
        .route("/receipts/verify", post(changesets::verify))
        .route("/rooms", get(chat::rooms))
        .route("/rooms/{room}/messages", get(chat::messages).post(chat::say))
        .route("/audit", get(system::audit))
        .route("/quarantine", get(system::quarantine))
        .route("/system", get(system::system))
        .route("/events", get(events::stream))
        .method_not_allowed_fallback(problem::no_such_method)
        .fallback(problem::no_such_route);
    Router::new()
        .nest("/api/v1", api)
        .route("/mqtt/status", get(chat::mqtt_status))
        .route("/healthz", get(system::healthz))
        .route("/readyz", get(system::readyz))
        .route("/metrics", get(system::metrics))
        .method_not_allowed_fallback(problem::no_such_method)
        .fallback(assets::serve)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(who::only_from_here))
        // A router tests its line from elsewhere, by whatever name leads here.
        .merge(speedtest::routes())
        .with_state(house)
}

/// `limit` and `after` of a list.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Paging {
    limit: Option<usize>,
    after: Option<String>,
}

impl Paging {
    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(50),
            Some(limit) if (1..=500).contains(&limit) => Ok(limit),
            Some(limit) => Err(Problem::bad_request(format!("`limit` is {limit}, but must be from 1 to 500"))),
        }
    }
}

/// A page as lists are answered.
fn page<T>(page: Page<T>, item: impl FnMut(T) -> Value) -> axum::Json<Value> {
    axum::Json(json!({"items": page.items.into_iter().map(item).collect::<Vec<_>>(), "next": page.next}))
}

/// Reads from the store on a thread that may wait.
async fn read<T: Send + 'static>(house: &Shared, read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static) -> Result<T, Problem> {
    let reader = house.reader.clone();
    tokio::task::spawn_blocking(move || read(&reader)).await.map_err(|_| Problem::internal("a read was interrupted"))?.map_err(Problem::from)
}
