//! HTTP/1.1 messages, incremental, as RFC 9112 frames them. Pure.

pub mod chunked;
pub mod encode;
pub mod excerpt;
pub mod expect;
pub mod fault;
pub mod field;
mod foreign;
mod head_fault;
mod limit_fields;
pub mod recent;
pub mod request;
pub mod request_bytes;
pub mod response;
mod response_head;
pub mod status;

/// A character of a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
