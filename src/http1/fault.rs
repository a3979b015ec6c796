//! Why a request is refused, and with which status.

use super::status::Status;

/// How a request breaks the rules or passes a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// not `METHOD TARGET HTTP/1.x`
    #[error("bad request line")]
    RequestLine,
    /// a line that ends with LF alone
    #[error("line without CR")]
    BareLf,
    /// too many empty lines before the request line
    #[error("too many blank lines")]
    BlankLines,
    /// a target in none of the allowed forms
    #[error("bad request target")]
    Target,
    /// a malformed field line
    #[error("bad header field")]
    Field,
    /// Host missing, twice or malformed
    #[error("bad Host")]
    Host,
    /// Content-Length and Transfer-Encoding malformed, repeated or both
    #[error("bad message framing")]
    Framing,
    /// a malformed chunked body
    #[error("bad chunked body")]
    Chunk,
    /// the head or the body did not come in time
    #[error("request timeout")]
    Timeout,
    /// the body is beyond the limit
    #[error("body too large")]
    BodyTooLarge,
    /// the target is beyond the limit
    #[error("target too long")]
    TargetTooLong,
    /// an expectation other than 100-continue
    #[error("expectation failed")]
    Expectation,
    /// the head is beyond the limit
    #[error("head too long")]
    HeadTooLong,
    /// more fields than the limit
    #[error("too many fields")]
    TooManyFields,
    /// a method nobody registered with us
    #[error("method not implemented")]
    Method,
    /// a transfer coding other than chunked
    #[error("transfer coding not implemented")]
    Coding,
    /// an HTTP version other than 1.0 and 1.1
    #[error("HTTP version not supported")]
    Version,
}

impl Fault {
    /// The status it is answered with.
    pub const fn status(self) -> Status {
        match self {
            Self::RequestLine
            | Self::BareLf
            | Self::BlankLines
            | Self::Target
            | Self::Field
            | Self::Host
            | Self::Framing
            | Self::Chunk => Status::BadRequest,
            Self::Timeout => Status::RequestTimeout,
            Self::BodyTooLarge => Status::ContentTooLarge,
            Self::TargetTooLong => Status::UriTooLong,
            Self::Expectation => Status::ExpectationFailed,
            Self::HeadTooLong | Self::TooManyFields => Status::FieldsTooLarge,
            Self::Method | Self::Coding => Status::NotImplemented,
            Self::Version => Status::VersionNotSupported,
        }
    }
}
