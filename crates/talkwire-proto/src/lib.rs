//! The words: topics, payloads, tool names and error codes.
