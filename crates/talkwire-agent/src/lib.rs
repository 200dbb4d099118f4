//! The mind: from a sentence to an intent, a flow and the next move.

pub mod intent;
