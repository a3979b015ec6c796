//! HTTP/1.1 messages, incremental, as RFC 9112 frames them. Pure.

pub mod chunked;
pub mod request_bytes;
pub mod response;
