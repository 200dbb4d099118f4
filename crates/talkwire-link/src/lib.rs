//! The pipe: an MQTT client that reconnects by itself and keeps a message until it is acknowledged.
//!
//! [`Link::connect`] gives the [`Link`], with which one publishes and subscribes, and the [`Events`], which one reads.
//!
//! ```no_run
//! use talkwire_link::{Link, LinkConfig, LinkEvent, Qos};
//! # async fn example() -> Result<(), talkwire_link::LinkError> {
//! let (link, mut events) = Link::connect(LinkConfig::new("127.0.0.1", 1883, "router-aabbccddeeff"))?;
//! link.subscribe("rtk/v1/acme/home/aabbccddeeff/cmd/req", Qos::AtLeastOnce);
//! while let Some(event) = events.next().await {
//!     match event {
//!         LinkEvent::Up { .. } => link.publish("rtk/v1/acme/home/aabbccddeeff/lwt", "{\"status\":\"online\"}", Qos::AtLeastOnce, true).await?,
//!         LinkEvent::Message(message) => println!("{} bytes on {}", message.payload.len(), message.topic),
//!         LinkEvent::Down { why } => eprintln!("{why}"),
//!         LinkEvent::Missed { count } => eprintln!("{count} messages came faster than they were read"),
//!     }
//! }
//! # Ok(()) }
//! ```

mod backoff;
pub mod broker_url;
mod config;
mod drive;
mod error;
mod events;
mod link;
mod message;
mod outgoing;
mod pulse;
mod session;
#[cfg(feature = "stranger")]
pub mod stranger;
mod tls;

pub use backoff::Backoff;
pub use broker_url::BrokerUrl;
pub use config::{LinkConfig, Password};
pub use error::LinkError;
pub use events::{Events, LinkEvent};
pub use link::Link;
pub use message::{Message, Qos};
pub use outgoing::PublishHandle;
pub use tls::Tls;
