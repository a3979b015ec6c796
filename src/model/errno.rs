//! Linux errno numbers that matter here, with their names and texts (asm-generic/errno.h, strerror(3)).

use std::borrow::Cow;

/// EADDRINUSE, Linux.
pub const EADDRINUSE: i32 = 98;
/// EADDRNOTAVAIL, Linux.
pub const EADDRNOTAVAIL: i32 = 99;
/// ECONNRESET, Linux.
pub const ECONNRESET: i32 = 104;
/// ETIMEDOUT, Linux.
pub const ETIMEDOUT: i32 = 110;
/// ECONNREFUSED, Linux.
pub const ECONNREFUSED: i32 = 111;
/// EMFILE, Linux.
pub const EMFILE: i32 = 24;
/// ENFILE, Linux.
pub const ENFILE: i32 = 23;
/// EPIPE, Linux.
pub const EPIPE: i32 = 32;
/// EPERM, Linux.
pub const EPERM: i32 = 1;
/// EAGAIN, Linux.
pub const EAGAIN: i32 = 11;
/// ENOMEM, Linux.
pub const ENOMEM: i32 = 12;
/// ENOEXEC, Linux.
pub const ENOEXEC: i32 = 8;
/// EACCES, Linux.
pub const EACCES: i32 = 13;
/// EINVAL, Linux.
pub const EINVAL: i32 = 22;
/// EAFNOSUPPORT, Linux.
pub const EAFNOSUPPORT: i32 = 97;
/// ENETDOWN, Linux.
pub const ENETDOWN: i32 = 100;
/// ECONNABORTED, Linux.
pub const ECONNABORTED: i32 = 103;
/// ENETUNREACH, Linux.
pub const ENETUNREACH: i32 = 101;
/// ENOBUFS, Linux.
pub const ENOBUFS: i32 = 105;
/// EHOSTUNREACH, Linux.
pub const EHOSTUNREACH: i32 = 113;

/// Symbolic name of a Linux errno (asm-generic/errno.h); `ERRNO-n` for one that is not in the table.
pub fn errno_name(n: i32) -> Cow<'static, str> {
    ERRNOS.iter().find(|e| e.0 == n).map_or_else(|| Cow::Owned(format!("ERRNO-{n}")), |e| Cow::Borrowed(e.1))
}

/// What strerror(3) says of a Linux errno, in lower case.
pub fn errno_text(n: i32) -> Cow<'static, str> {
    ERRNOS.iter().find(|e| e.0 == n).map_or_else(|| Cow::Owned(format!("errno {n}")), |e| Cow::Borrowed(e.2))
}

const ERRNOS: &[(i32, &str, &str)] = &[
    (1, "EPERM", "operation not permitted"),
    (2, "ENOENT", "no such file or directory"),
    (4, "EINTR", "interrupted system call"),
    (5, "EIO", "input/output error"),
    (6, "ENXIO", "no such device or address"),
    (7, "E2BIG", "argument list too long"),
    (ENOEXEC, "ENOEXEC", "not a program that can be executed"),
    (9, "EBADF", "bad file descriptor"),
    (11, "EAGAIN", "resource temporarily unavailable"),
    (12, "ENOMEM", "cannot allocate memory"),
    (13, "EACCES", "permission denied"),
    (16, "EBUSY", "device or resource busy"),
    (18, "EXDEV", "invalid cross-device link"),
    (20, "ENOTDIR", "not a directory"),
    (21, "EISDIR", "is a directory"),
    (22, "EINVAL", "invalid argument"),
    (ENFILE, "ENFILE", "too many open files in system"),
    (EMFILE, "EMFILE", "too many open files"),
    (26, "ETXTBSY", "text file busy"),
    (27, "EFBIG", "file too large"),
    (28, "ENOSPC", "no space left on device"),
    (30, "EROFS", "read-only file system"),
    (EPIPE, "EPIPE", "broken pipe"),
    (34, "ERANGE", "numerical result out of range"),
    (36, "ENAMETOOLONG", "file name too long"),
    (38, "ENOSYS", "function not implemented"),
    (40, "ELOOP", "too many levels of symbolic links"),
    (71, "EPROTO", "protocol error"),
    (80, "ELIBBAD", "accessing a corrupted shared library"),
    (87, "EUSERS", "too many users"),
    (92, "ENOPROTOOPT", "protocol not available"),
    (97, "EAFNOSUPPORT", "address family not supported by protocol"),
    (EADDRINUSE, "EADDRINUSE", "address already in use"),
    (EADDRNOTAVAIL, "EADDRNOTAVAIL", "cannot assign requested address"),
    (100, "ENETDOWN", "network is down"),
    (101, "ENETUNREACH", "network is unreachable"),
    (103, "ECONNABORTED", "software caused connection abort"),
    (ECONNRESET, "ECONNRESET", "connection reset by peer"),
    (105, "ENOBUFS", "no buffer space available"),
    (107, "ENOTCONN", "transport endpoint is not connected"),
    (ETIMEDOUT, "ETIMEDOUT", "connection timed out"),
    (ECONNREFUSED, "ECONNREFUSED", "connection refused"),
    (113, "EHOSTUNREACH", "no route to host"),
    (116, "ESTALE", "stale file handle"),
    (122, "EDQUOT", "disk quota exceeded"),
];
