//! Open descriptors of a process and its limit of them: proc_pid_fd(5), proc_pid_limits(5).

use std::io;

use super::proc_text;

/// The descriptors that a process has open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenDescriptors {
    /// all of them
    pub count: u32,
    /// inodes of those that are sockets
    pub sockets: Vec<u32>,
}

/// What `pid` has open. About 1.5 us a descriptor.
///
/// Errors: it has ended (ENOENT), or belongs to another user (EACCES).
pub fn read_open(pid: u32) -> io::Result<OpenDescriptors> {
    let mut open = OpenDescriptors::default();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        open.count += 1;
        // One that was closed meanwhile has no target.
        let Ok(to) = std::fs::read_link(entry?.path()) else { continue };
        open.sockets.extend(to.to_str().and_then(socket_inode));
    }
    Ok(open)
}

/// The soft limit of open descriptors of `pid`; none where it has no limit.
///
/// Errors: it has ended, or the file has no such line.
pub fn read_limit(pid: u32) -> io::Result<Option<u64>> {
    let text = proc_text::read(format!("/proc/{pid}/limits"))?;
    let limit = parse_limit(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/limits: no open files")))?;
    Ok((limit < u64::MAX).then_some(limit))
}

/// `socket:[INODE]`.
fn socket_inode(target: &str) -> Option<u32> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// `Max open files  SOFT  HARD  files`; the highest number for `unlimited`.
fn parse_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|l| l.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        soft => soft.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_this_process_is_among_its_descriptors() {
        use std::os::fd::AsRawFd as _;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let inode = socket_inode(link.to_str().unwrap()).unwrap();
        let open = read_open(std::process::id()).unwrap();
        assert!(open.sockets.contains(&inode) && open.count > open.sockets.len() as u32, "{open:?}");
    }

    #[test]
    fn limits_are_read_and_a_missing_line_is_no_limit_of_zero() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(parse_limit(limits), Some(1024));
        assert_eq!(parse_limit("Max open files            unlimited            unlimited            files\n"), Some(u64::MAX));
        assert_eq!(parse_limit("Max processes 3 3\n"), None);
        assert!(read_limit(std::process::id()).unwrap().is_none_or(|n| n > 3));
    }
}
