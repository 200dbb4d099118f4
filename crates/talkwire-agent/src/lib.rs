//! The mind: from a sentence to an intent, a flow and the next move.

pub mod cause;
pub mod evidence;
pub mod flow;
pub mod intent;
pub mod mind;
pub mod wording;

pub use mind::Mind;
pub use wording::{answer_other, opening, presence};
