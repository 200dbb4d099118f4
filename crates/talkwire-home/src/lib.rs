//! The practice house: simulated homes that behave, and faults.
//!
//! A [`HomeFile`] describes a home, [`House`] lets it live: time passes by [`House::advance`], tools run by
//! [`House::call`] (or [`House::start`] and [`House::finish`]), and an Act can be undone with [`House::section`] and
//! [`House::restore`]. Everything is computed from state and one seed.
//! [`connect`] connects the devices of a house to a broker and drives its clock; nothing else here does I/O but reading the file.

mod clock;
mod connect;
mod error;
pub mod file;
mod house;
pub mod physics;
mod random;
mod report;
mod tools;

pub use clock::Clock;
pub use connect::{ConnectError, Connected, Connection, connect};
pub use error::{HomeError, ToolFault};
pub use file::HomeFile;
pub use house::{Happening, House, LogLine, Role};
pub use report::{Card, Metric, State};
pub use tools::{Class, Started, Tool, ToolRun};
