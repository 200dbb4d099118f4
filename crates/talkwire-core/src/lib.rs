//! The rules: devices, commands, sessions, change sets, chat, access and audit, without clock, I/O or async.
