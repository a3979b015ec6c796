//! Kernel settings under /proc/sys/net, of this process's network namespace: read, write, read back.

use std::io;
use std::path::PathBuf;

use super::proc_mount;
use super::proc_text;
use crate::model::plan::PortRange;
use crate::model::result::Sysctls;

/// The file of `net.KEY`: dots become slashes.
///
/// Errors: InvalidInput for a key outside `net.`, or one that could leave /proc/sys/net.
pub fn path_of(key: &str) -> io::Result<PathBuf> {
    let ok_part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if key.starts_with("net.") && key.split('.').all(ok_part) {
        return Ok(PathBuf::from("/proc/sys").join(key.replace('.', "/")));
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a net.* key"))
}

/// The value as the kernel prints it, blanks normalised to one space.
///
/// Errors: ENOENT where this namespace or kernel has no such setting, EACCES.
pub fn read(key: &str) -> io::Result<String> {
    let text = proc_text::read(path_of(key)?).map_err(proc_mount::why)?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Writes `value` and returns what the kernel has afterwards.
///
/// Errors: ENOENT, EACCES (not writable in this namespace), EINVAL (refused value).
pub fn write(key: &str, value: &str) -> io::Result<String> {
    // One write(2): the kernel parses each write on its own. Never O_CREAT: in /proc it would turn ENOENT into EACCES.
    let mut file = std::fs::OpenOptions::new().write(true).open(path_of(key)?)?;
    io::Write::write_all(&mut file, value.as_bytes())?;
    read(key)
}

/// net.ipv4.ip_local_port_range (IPv6 uses the same).
///
/// Errors: unreadable, or not two ports in order.
pub fn read_local_port_range() -> io::Result<PortRange> {
    parse_range(&read("net.ipv4.ip_local_port_range")?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "ip_local_port_range is not two ports"))
}

/// net.ipv4.ip_local_reserved_ports as ranges; empty when nothing is reserved.
///
/// Errors: unreadable, or not a list of ports.
pub fn read_reserved_ports() -> io::Result<Vec<PortRange>> {
    parse_reserved(&read("net.ipv4.ip_local_reserved_ports")?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "ip_local_reserved_ports is not a list of ports"))
}

/// The settings that matter to ports; each that cannot be read comes back as a row `(key, reason)`.
pub fn read_sysctls() -> (Sysctls, Vec<(String, String)>) {
    let mut missing = Vec::new();
    let mut note = |key: &str, e: &io::Error| missing.push((format!("host.sysctls.{key}"), reason(key, e)));
    let mut number = |key: &str, name: &str| {
        let value = read(name).and_then(|v| v.parse::<u64>().map_err(io::Error::other));
        value.inspect_err(|e| note(key, e)).ok()
    };
    let small = |v: Option<u64>| v.and_then(|v| u32::try_from(v).ok());
    let mut sysctls = Sysctls {
        tcp_tw_reuse: small(number("tcp_tw_reuse", "net.ipv4.tcp_tw_reuse")),
        tcp_tw_reuse_delay_ms: small(number("tcp_tw_reuse_delay_ms", "net.ipv4.tcp_tw_reuse_delay")),
        tcp_timestamps: small(number("tcp_timestamps", "net.ipv4.tcp_timestamps")),
        tcp_fin_timeout_s: small(number("tcp_fin_timeout_s", "net.ipv4.tcp_fin_timeout")),
        tcp_max_tw_buckets: number("tcp_max_tw_buckets", "net.ipv4.tcp_max_tw_buckets"),
        tcp_max_syn_backlog: number("tcp_max_syn_backlog", "net.ipv4.tcp_max_syn_backlog"),
        somaxconn: number("somaxconn", "net.core.somaxconn"),
        ..Sysctls::default()
    };
    let range = read_local_port_range().inspect_err(|e| note("ip_local_port_range", e)).ok();
    sysctls.ip_local_port_range = range.map(|r| [r.lo, r.hi]);
    match (range, read_reserved_ports()) {
        (Some(range), Ok(reserved)) => {
            // The kernel lists them as ranges that do not overlap (proc_do_large_bitmap, kernel/sysctl.c).
            sysctls.ip_local_reserved_ports = Some(reserved.iter().map(|r| r.shared_with(range)).sum());
        }
        (None, _) => note("ip_local_reserved_ports", &io::Error::other("ip_local_port_range could not be read")),
        (_, Err(e)) => note("ip_local_reserved_ports", &e),
    }
    (sysctls, missing)
}

fn reason(key: &str, e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(nix::libc::ENOENT) if key.contains("tw_reuse_delay") => {
            "this kernel has no tcp_tw_reuse_delay (Linux 6.14 and later)".into()
        }
        Some(nix::libc::ENOENT) => format!("this kernel or namespace has no {key}"),
        _ => format!("{key}: {e}"),
    }
}

/// Two ports with blanks between them.
pub fn parse_range(text: &str) -> Option<PortRange> {
    let mut parts = text.split_whitespace().map(str::parse::<u16>);
    let (lo, hi) = (parts.next()?.ok()?, parts.next()?.ok()?);
    (lo <= hi && parts.next().is_none()).then_some(PortRange { lo, hi })
}

/// `8080,9000-9010`: single ports and ranges, commas between.
fn parse_reserved(text: &str) -> Option<Vec<PortRange>> {
    text.trim()
        .split(',')
        .filter(|p| !p.is_empty())
        .map(|part| {
            let (lo, hi) = part.split_once('-').unwrap_or((part, part));
            let (lo, hi) = (lo.parse().ok()?, hi.parse().ok()?);
            (lo <= hi).then_some(PortRange { lo, hi })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_below_proc_sys_net() {
        assert_eq!(path_of("net.ipv4.tcp_tw_reuse").unwrap(), PathBuf::from("/proc/sys/net/ipv4/tcp_tw_reuse"));
        for bad in ["kernel.pid_max", "net..ipv4", "net.", "net.../kernel/x", "net/ipv4/tcp_tw_reuse", "net.ipv4.a b"] {
            assert!(path_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_in_both_of_two_ranges_are_counted() {
        let range = |lo, hi| PortRange { lo, hi };
        for (a, b) in [
            ((5, 9), (9, 12)),
            ((5, 9), (10, 12)),
            ((0, u16::MAX), (7, 8)),
            ((u16::MAX, u16::MAX), (0, u16::MAX)),
            ((1, 2), (8, 9)),
        ] {
            let (a, b) = (range(a.0, a.1), range(b.0, b.1));
            let counted = (0..=u16::MAX).filter(|p| a.contains(*p) && b.contains(*p)).count() as u32;
            assert_eq!((a.shared_with(b), b.shared_with(a), a.overlaps(b)), (counted, counted, counted > 0), "{a:?} {b:?}");
        }
    }

    #[test]
    fn ranges_and_lists() {
        assert_eq!(parse_range("32768\t60999\n"), Some(PortRange { lo: 32768, hi: 60999 }));
        assert_eq!(parse_range("5 4"), None);
        assert_eq!(parse_range("1 2 3"), None);
        assert_eq!(parse_reserved("\n"), Some(vec![]));
        assert_eq!(
            parse_reserved("8080,9000-9010"),
            Some(vec![PortRange { lo: 8080, hi: 8080 }, PortRange { lo: 9000, hi: 9010 }])
        );
        assert_eq!(parse_reserved("x"), None);
    }

    #[test]
    fn an_unknown_key_is_enoent_and_a_read_gives_all_or_a_reason() {
        assert_eq!(read("net.ipv4.no_such").unwrap_err().raw_os_error(), Some(nix::libc::ENOENT));
        assert_eq!(write("net.ipv4.no_such", "1").unwrap_err().raw_os_error(), Some(nix::libc::ENOENT));
        let (s, missing) = read_sysctls();
        let nulls = serde_json::to_value(&s).unwrap().as_object().unwrap().values().filter(|v| v.is_null()).count();
        assert_eq!(nulls, missing.len(), "{missing:?}");
    }
}
