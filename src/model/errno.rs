//! Linux errno numbers that matter here, with their names and texts (asm-generic/errno.h, strerror(3)).

use std::borrow::Cow;

/// A constant of each name, and the table of all.
macro_rules! errnos {
    ($($number:literal $name:ident $text:literal)*) => {
        $(#[allow(dead_code, missing_docs, reason = "one list of all that have a text")] pub const $name: i32 = $number;)*
        const ERRNOS: &[(i32, &str, &str)] = &[$(($name, stringify!($name), $text)),*];
    };
}

/// Symbolic name of a Linux errno (asm-generic/errno.h); `ERRNO-n` for one that is not in the table.
pub fn errno_name(n: i32) -> Cow<'static, str> {
    ERRNOS.iter().find(|e| e.0 == n).map_or_else(|| Cow::Owned(format!("ERRNO-{n}")), |e| Cow::Borrowed(e.1))
}

/// What strerror(3) says of a Linux errno, in lower case.
pub fn errno_text(n: i32) -> Cow<'static, str> {
    ERRNOS.iter().find(|e| e.0 == n).map_or_else(|| Cow::Owned(format!("errno {n}")), |e| Cow::Borrowed(e.2))
}

errnos! {
    1 EPERM "operation not permitted"
    2 ENOENT "no such file or directory"
    4 EINTR "interrupted system call"
    5 EIO "input/output error"
    6 ENXIO "no such device or address"
    7 E2BIG "argument list too long"
    8 ENOEXEC "not a program that can be executed"
    9 EBADF "bad file descriptor"
    11 EAGAIN "resource temporarily unavailable"
    12 ENOMEM "cannot allocate memory"
    13 EACCES "permission denied"
    16 EBUSY "device or resource busy"
    18 EXDEV "invalid cross-device link"
    20 ENOTDIR "not a directory"
    21 EISDIR "is a directory"
    22 EINVAL "invalid argument"
    23 ENFILE "too many open files in system"
    24 EMFILE "too many open files"
    26 ETXTBSY "text file busy"
    27 EFBIG "file too large"
    28 ENOSPC "no space left on device"
    30 EROFS "read-only file system"
    32 EPIPE "broken pipe"
    34 ERANGE "numerical result out of range"
    36 ENAMETOOLONG "file name too long"
    38 ENOSYS "function not implemented"
    40 ELOOP "too many levels of symbolic links"
    71 EPROTO "protocol error"
    80 ELIBBAD "accessing a corrupted shared library"
    87 EUSERS "too many users"
    92 ENOPROTOOPT "protocol not available"
    97 EAFNOSUPPORT "address family not supported by protocol"
    98 EADDRINUSE "address already in use"
    99 EADDRNOTAVAIL "cannot assign requested address"
    100 ENETDOWN "network is down"
    101 ENETUNREACH "network is unreachable"
    103 ECONNABORTED "software caused connection abort"
    104 ECONNRESET "connection reset by peer"
    105 ENOBUFS "no buffer space available"
    107 ENOTCONN "transport endpoint is not connected"
    110 ETIMEDOUT "connection timed out"
    111 ECONNREFUSED "connection refused"
    113 EHOSTUNREACH "no route to host"
    116 ESTALE "stale file handle"
    122 EDQUOT "disk quota exceeded"
}
