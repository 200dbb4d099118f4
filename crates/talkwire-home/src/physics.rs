//! The formulas: pure functions from numbers to numbers, without state and without chance.

pub mod address;
pub mod air;
pub mod line;
pub mod machine;
pub mod path;
pub mod queue;
pub mod rate;
pub mod region;
