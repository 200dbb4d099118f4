//! The pipe: an MQTT client that reconnects and keeps what it could not send.
