//! The exchange: the embedded MQTT broker behind a seam of ours.
