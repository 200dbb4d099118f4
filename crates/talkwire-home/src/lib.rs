//! The practice house: simulated homes that behave, and faults.
