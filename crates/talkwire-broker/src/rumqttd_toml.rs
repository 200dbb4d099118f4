//! Reads the configuration file of `rumqttd`, so that an existing one keeps its meaning (PROTOCOL.md §8).
