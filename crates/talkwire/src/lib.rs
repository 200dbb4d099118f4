//! The house: one event loop, the doors, the configuration and the command line.
