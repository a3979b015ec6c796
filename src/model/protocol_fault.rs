//! How an answer broke HTTP/1.1, which limit of sockbench's own it passed, and which other protocol it was. Re-exported by
//! [`outcome`](super::outcome), whose causes these are part of.

/// How an answer broke the protocol, as far as its bytes say. Serialised in kebab case: `"no-colon"`, `{"not-http": "ssh"}`.
#[apply(kebab_case)]
pub enum ProtocolFault {
    /// not an HTTP/1 answer at all
    NotHttp(Foreign),
    /// the first line is not `HTTP/1.x NNN reason` (RFC 9112 section 4)
    StatusLine,
    /// the version is neither HTTP/1.0 nor HTTP/1.1
    Version,
    /// a status outside 100 to 599 (RFC 9110 section 15)
    StatusCode,
    /// lines of the head end with LF alone (RFC 9112 section 2.2)
    BareLf,
    /// a field name with a character that no name may have (RFC 9110 section 5.1)
    FieldName,
    /// a line of the head without a colon
    NoColon,
    /// blanks between a field name and its colon (RFC 9112 section 5.1)
    BlankBeforeColon,
    /// a line that continues the one before: it begins with a blank (obs-fold, RFC 9112 section 5.2)
    FoldedLine,
    /// a control character in a field value (RFC 9110 section 5.5)
    FieldValue,
    /// the head is longer than sockbench's limit
    HeadTooLarge,
    /// the head has more fields than sockbench's limit
    TooManyFields,
    /// Content-Length is not a number, or there are two that differ (RFC 9110 section 8.6)
    ContentLength,
    /// Content-Length and Transfer-Encoding in one answer (RFC 9112 section 6.3)
    BothFramings,
    /// a Transfer-Encoding that cannot be read: chunked twice, or with parameters (RFC 9112 section 6.1)
    TransferCoding,
    /// a chunk size that is not a hexadecimal number (RFC 9112 section 7.1)
    ChunkSize,
    /// a chunk extension with a control character
    ChunkExtension,
    /// something else where a line of the chunked body must end
    ChunkEnd,
    /// a malformed trailer field
    Trailer,
    /// chunk extensions or trailers longer than sockbench's limit for heads
    TrailersTooLarge,
    /// the connection ended inside a head
    TruncatedHead,
    /// the connection ended inside a body or before the last chunk
    Truncated,
    /// status 101 although no Upgrade was asked for (RFC 9110 section 15.2.2)
    Unasked101,
    /// the body is longer than sockbench's limit
    BodyTooLarge,
}

/// What came instead of an HTTP/1 answer, as its first bytes say. Serialised in kebab case.
#[apply(kebab_case)]
pub enum Foreign {
    /// a TLS alert record: the port expects TLS (RFC 8446 section 5.1)
    TlsAlert,
    /// another TLS record
    Tls,
    /// an HTTP/2 frame: the port speaks HTTP/2 without TLS only (RFC 9113 section 3.4)
    Http2,
    /// a body without a head, as HTTP/0.9 has it
    Http09,
    /// an HTTP request: the peer sent ours back, or is a client itself
    HttpRequest,
    /// an SSH identification (RFC 4253 section 4.2)
    Ssh,
    /// a greeting that names SMTP
    Smtp,
    /// a greeting that names FTP
    Ftp,
    /// a three-digit reply as SMTP, FTP and NNTP have it
    ReplyCode,
    /// a POP3 greeting
    Pop3,
    /// an IMAP greeting
    Imap,
    /// a Redis reply (RESP)
    Redis,
    /// a memcached error
    Memcached,
    /// a PostgreSQL error message
    Postgres,
    /// a MySQL or MariaDB greeting
    Mysql,
    /// an AMQP protocol header
    Amqp,
    /// a WebSocket frame that no handshake preceded (RFC 6455 section 5.2)
    WebSocket,
    /// RTSP
    Rtsp,
    /// SIP
    Sip,
    /// a Shoutcast answer
    Icy,
    /// a VNC greeting (RFB)
    Vnc,
    /// Telnet negotiation
    Telnet,
    /// a header of the PROXY protocol
    ProxyHeader,
    /// none that is known here
    Unknown,
}

/// A limit of sockbench's own that an answer can pass. Serialised in kebab case.
#[apply(kebab_case)]
pub enum OwnLimit {
    /// bytes of a head, of trailers, of chunk extensions
    HeadBytes,
    /// fields of a head
    HeadFields,
    /// bytes of a body
    BodyBytes,
}

impl OwnLimit {
    /// The flag of `load` and `study` that raises it.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::HeadBytes => "--head-bytes",
            Self::HeadFields => "--head-fields",
            Self::BodyBytes => "--body-bytes",
        }
    }
}

impl ProtocolFault {
    /// The limit that was passed, where the fault is sockbench's and not the target's.
    pub const fn own_limit(self) -> Option<OwnLimit> {
        match self {
            Self::HeadTooLarge | Self::TrailersTooLarge => Some(OwnLimit::HeadBytes),
            Self::TooManyFields => Some(OwnLimit::HeadFields),
            Self::BodyTooLarge => Some(OwnLimit::BodyBytes),
            _ => None,
        }
    }

    /// The connection ended before the answer did.
    pub const fn is_truncated(self) -> bool {
        matches!(self, Self::Truncated | Self::TruncatedHead)
    }

    /// Short name of its group, for tables: `BAD-HEAD`, `TRUNCATED`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotHttp(_) => "NOT-HTTP",
            Self::StatusLine
            | Self::Version
            | Self::StatusCode
            | Self::BareLf
            | Self::FieldName
            | Self::NoColon
            | Self::BlankBeforeColon
            | Self::FoldedLine
            | Self::FieldValue => "BAD-HEAD",
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailersTooLarge => "HEAD-TOO-LARGE",
            Self::ContentLength | Self::BothFramings | Self::TransferCoding => "BAD-FRAMING",
            Self::ChunkSize | Self::ChunkExtension | Self::ChunkEnd | Self::Trailer => "BAD-CHUNK",
            Self::Truncated | Self::TruncatedHead => "TRUNCATED",
            Self::Unasked101 => "UNASKED-101",
            Self::BodyTooLarge => "BODY-TOO-LARGE",
        }
    }

    /// One line: what is wrong, in words.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotHttp(foreign) => foreign.message(),
            Self::StatusLine => "the answer does not begin with an HTTP status line",
            Self::Version => "the answer's HTTP version is neither 1.0 nor 1.1",
            Self::StatusCode => "the answer's status is not between 100 and 599",
            Self::BareLf => "lines of the answer's head end with LF alone, not CR LF",
            Self::FieldName => "a field name of the answer has an invalid character",
            Self::NoColon => "a line of the answer's head has no colon",
            Self::BlankBeforeColon => "a field of the answer has a blank before its colon",
            Self::FoldedLine => "a line of the answer's head continues the one before (obs-fold)",
            Self::FieldValue => "a field value of the answer has a control character",
            Self::HeadTooLarge => "the answer's head is longer than sockbench's limit",
            Self::TooManyFields => "the answer has more header fields than sockbench's limit",
            Self::ContentLength => "the answer's Content-Length is invalid",
            Self::BothFramings => "the answer has both Content-Length and Transfer-Encoding",
            Self::TransferCoding => "the answer's Transfer-Encoding is invalid",
            Self::ChunkSize => "a chunk size of the answer is invalid",
            Self::ChunkExtension => "a chunk extension of the answer is invalid",
            Self::ChunkEnd => "a chunk of the answer does not end with CR LF",
            Self::Trailer => "a trailer field of the answer is invalid",
            Self::TrailersTooLarge => "the answer's chunk extensions or trailers are longer than sockbench's limit",
            Self::TruncatedHead => "the connection ended inside the answer's head",
            Self::Truncated => "the connection ended inside the answer",
            Self::Unasked101 => "the answer switches protocols (101), which was not asked for",
            Self::BodyTooLarge => "the answer's body is longer than sockbench's limit",
        }
    }
}

impl Foreign {
    /// One line: what came, in words.
    pub const fn message(self) -> &'static str {
        match self {
            Self::TlsAlert => "a TLS alert came, not HTTP: this port expects TLS (https)",
            Self::Tls => "a TLS record came, not HTTP: this port speaks TLS (https)",
            Self::Http2 => "an HTTP/2 frame came, not HTTP/1: this port speaks HTTP/2 only",
            Self::Http09 => "a body without a head came (as in HTTP/0.9)",
            Self::HttpRequest => "an HTTP request came, not an answer: the peer sends back what it receives, or is a client",
            Self::Ssh => "an SSH greeting came, not HTTP",
            Self::Smtp => "an SMTP greeting came, not HTTP",
            Self::Ftp => "an FTP greeting came, not HTTP",
            Self::ReplyCode => "a reply code of SMTP, FTP or NNTP came, not HTTP",
            Self::Pop3 => "a POP3 greeting came, not HTTP",
            Self::Imap => "an IMAP greeting came, not HTTP",
            Self::Redis => "a Redis reply came, not HTTP",
            Self::Memcached => "a memcached error came, not HTTP",
            Self::Postgres => "a PostgreSQL error came, not HTTP",
            Self::Mysql => "a MySQL greeting came, not HTTP",
            Self::Amqp => "an AMQP header came, not HTTP",
            Self::WebSocket => "a WebSocket frame came, not HTTP",
            Self::Rtsp => "an RTSP answer came, not HTTP",
            Self::Sip => "a SIP answer came, not HTTP",
            Self::Icy => "a Shoutcast answer (ICY) came, not HTTP",
            Self::Vnc => "a VNC greeting came, not HTTP",
            Self::Telnet => "Telnet negotiation came, not HTTP",
            Self::ProxyHeader => "a PROXY protocol header came, not HTTP",
            Self::Unknown => "the first bytes are not HTTP",
        }
    }
}
