//! The core: all rooms of the rules together.

/// To come.
#[derive(Debug)]
pub struct Core;
