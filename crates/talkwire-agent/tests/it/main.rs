//! The mind at work: recorded homes, look-alikes, odd devices, changes from yes to proof.

mod builtin;
mod cases;
mod changes;
mod degrading;
mod play;
mod properties;
