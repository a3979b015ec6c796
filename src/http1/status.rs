//! The statuses that the server answers with.

/// A status (RFC 9110 section 15; 431 is RFC 6585).
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[allow(missing_docs, reason = "each has its number beside it")]
#[repr(u8)]
pub enum Status {
    #[strum(serialize = "200 OK")]
    Ok,
    #[strum(serialize = "400 Bad Request")]
    BadRequest,
    #[strum(serialize = "404 Not Found")]
    NotFound,
    #[strum(serialize = "405 Method Not Allowed")]
    MethodNotAllowed,
    #[strum(serialize = "408 Request Timeout")]
    RequestTimeout,
    #[strum(serialize = "413 Content Too Large")]
    ContentTooLarge,
    #[strum(serialize = "414 URI Too Long")]
    UriTooLong,
    #[strum(serialize = "417 Expectation Failed")]
    ExpectationFailed,
    #[strum(serialize = "431 Request Header Fields Too Large")]
    FieldsTooLarge,
    #[strum(serialize = "500 Internal Server Error")]
    InternalError,
    #[strum(serialize = "501 Not Implemented")]
    NotImplemented,
    #[strum(serialize = "503 Service Unavailable")]
    Unavailable,
    #[strum(serialize = "505 HTTP Version Not Supported")]
    VersionNotSupported,
}

impl Status {
    /// All of them, in the order of their `usize` values.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Number and reason phrase.
    pub fn text(self) -> &'static str {
        self.into()
    }

    /// The three digits.
    pub fn code(self) -> &'static str {
        &self.text()[..3]
    }
}
