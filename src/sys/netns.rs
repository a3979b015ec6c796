//! A private user and network namespace for this process, as any user: own loopback, own TCP settings, nothing
//! outside is touched.
//!
//! The order matters (measured): unshare while the process has ONE thread; then setgroups,
//! uid_map, gid_map; then loopback up; then the settings. The caller's user becomes uid 0 inside, because only
//! uid 0 keeps its capabilities across exec(2). Nothing is executed before the maps are written.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};

use super::netlink::{Ask, Netlink};
use super::proc_mount;
use super::sysctl;

const NETLINK_ROUTE: isize = 0;
const LOOPBACK: &str = "lo";

/// Why there is no private namespace, or not the asked one.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// this system does not let us make one; `why` names the setting that forbids it
    #[error("private namespaces are forbidden here: {step}: {}: {why}", errno_words(*errno))]
    Forbidden {
        /// what was refused
        step: &'static str,
        /// with which errno
        errno: i32,
        /// by what
        why: String,
    },
    /// there is no /proc to write the namespace's users to
    #[error("a private namespace needs /proc: {}", proc_mount::NO_PROC)]
    NoProc,
    /// a setting was not taken
    #[error("{key}={value}: {}: {why}", errno_words(*errno))]
    Sysctl {
        /// its name
        key: String,
        /// as asked
        value: String,
        /// 2 no such key here, 13 not writable here, 22 not a value
        errno: i32,
        /// in words
        why: &'static str,
    },
    /// not a key below `net.`
    #[error("{0}: not a net.* setting")]
    Key(String),
    /// an address could not be put on the loopback interface
    #[error("address {0}: {1}")]
    Address(IpAddr, io::Error),
}

impl NetnsError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden { .. } => {
                Some("an administrator can allow it, or run this in a container or virtual machine that does".into())
            }
            Self::NoProc => Some("mount -t proc proc /proc".into()),
            Self::Sysctl { errno: libc::EROFS, .. } => Some(
                "Docker and Podman mount it so: --security-opt systempaths=unconfined (Podman: unmask=ALL) leaves it writable"
                    .into(),
            ),
            Self::Sysctl { errno: libc::ENOENT, key, .. } => {
                let dir = key.rsplit_once('.').map_or("net", |(dir, _)| dir).replace('.', "/");
                let dir = if Path::new("/proc/sys").join(&dir).is_dir() { dir } else { "net".into() };
                Some(format!("the settings that a sandbox has: sockbench sandbox -- ls /proc/sys/{dir}"))
            }
            Self::Sysctl { errno: libc::EACCES | libc::EPERM, key, .. } => {
                Some(format!("it belongs to the whole host: as root, sysctl -w {key}=... outside the sandbox"))
            }
            Self::Sysctl { key, .. } => Some(match sysctl::read(key) {
                Ok(held) => format!("its value is '{held}': write it in the same form, as --sysctl '{key}={held}'"),
                Err(_) => format!("sysctl {key} shows the form"),
            }),
            Self::Key(_) => Some("e.g. --sysctl net.ipv4.tcp_tw_reuse=1".into()),
            Self::Address(..) => None,
        }
    }
}

fn errno_words(errno: i32) -> String {
    format!("{} ({})", crate::model::outcome::errno_text(errno), crate::model::outcome::errno_name(errno))
}

/// Moves this process into a new user and network namespace, brings loopback up and writes `sysctls`
/// (`net.KEY`, value) in order. Returns each key with the value that the kernel has afterwards.
///
/// Must be called while the process has one thread. After an error the process may be half inside: leave.
///
/// Errors: see [`NetnsError`]; keys are checked before anything is done.
pub fn enter(sysctls: &[(String, String)]) -> Result<Vec<(String, String)>, NetnsError> {
    let mut known_outside = Vec::with_capacity(sysctls.len());
    for (key, _) in sysctls {
        let path = sysctl::path_of(key).map_err(|_| NetnsError::Key(key.clone()))?;
        known_outside.push(path.exists());
    }
    if !proc_mount::is_mounted() {
        return Err(NetnsError::NoProc);
    }
    let (uid, gid) = (geteuid(), getegid());
    let settings = Settings::read();
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(|e| forbidden("unshare(user, net)", e, &settings))?;
    let write = |file: &'static str, text: String| {
        std::fs::write(file, text).map_err(|e| forbidden(file, Errno::from_raw(e.raw_os_error().unwrap_or(0)), &settings))
    };
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    set_loopback_up().map_err(|e| forbidden("loopback up", Errno::from_raw(e.raw_os_error().unwrap_or(0)), &settings))?;
    sysctls.iter().zip(known_outside).map(|((key, value), outside)| set(key, value, outside)).collect()
}

/// Moves this process into the network namespace of `pid`; false where it is there already. A private one of the same user's
/// belongs to a user namespace, which is entered with it: no root is needed.
///
/// Must be called while the process has one thread.
///
/// Errors: no such process, another user's, or a namespace that may not be entered.
pub fn join(pid: u32) -> io::Result<bool> {
    let of = |whose: &str, kind: &str| std::fs::read_link(format!("/proc/{whose}/ns/{kind}"));
    let target = pid.to_string();
    if of("self", "net")? == of(&target, "net")? {
        return Ok(false);
    }
    let id = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    let process = rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty())?;
    match setns(&process, CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) if of("self", "user")? != of(&target, "user")? => {
            setns(&process, CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
        }
        joined => joined?,
    }
    Ok(true)
}

fn set(key: &str, value: &str, known_outside: bool) -> Result<(String, String), NetnsError> {
    match sysctl::write(key, value) {
        Ok(held) => Ok((key.to_owned(), held)),
        Err(e) => {
            let errno = e.raw_os_error().unwrap_or(libc::EINVAL);
            let why = match errno {
                libc::ENOENT if known_outside => "the host has this setting, but a private namespace does not",
                libc::ENOENT => "this kernel has no such setting",
                libc::EACCES | libc::EPERM => "not writable in a private namespace",
                libc::EROFS => "/proc/sys is mounted read-only, as it is in most containers",
                libc::EINVAL | libc::ERANGE => "the kernel refuses this value",
                _ => "not written",
            };
            Err(NetnsError::Sysctl { key: key.to_owned(), value: value.to_owned(), errno, why })
        }
    }
}

/// RTM_NEWLINK with IFF_UP for `lo` (rtnetlink(7)): no `ip` program is needed.
fn set_loopback_up() -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(LOOPBACK)?;
    let up = libc::IFF_UP as u32;
    // struct ifinfomsg: family, pad, type u16, index i32, flags u32, change u32.
    let message = [[0; 4], index.to_ne_bytes(), up.to_ne_bytes(), up.to_ne_bytes()].concat();
    Netlink::open(NETLINK_ROUTE)?.talk(libc::RTM_NEWLINK, Ask::Ack(0), &message, |_| ())
}

/// Puts a further address on the loopback interface of this namespace (RTM_NEWADDR): "any other address" than
/// 127/8 for destinations where tcp_tw_reuse=2 does not apply.
///
/// Errors: EPERM outside a private namespace, EEXIST.
pub fn add_address(ip: IpAddr, prefix: u8) -> Result<(), NetnsError> {
    let add = || -> io::Result<()> {
        let index = nix::net::if_::if_nametoindex(LOOPBACK)?;
        let (family, octets, flags) = match ip {
            IpAddr::V4(ip) => (libc::AF_INET, ip.octets().to_vec(), 0),
            // Duplicate address detection would delay the address for a second.
            IpAddr::V6(ip) => (libc::AF_INET6, ip.octets().to_vec(), libc::IFA_F_NODAD as u8),
        };
        // struct ifaddrmsg: family, prefix length, flags, scope, index u32; then IFA_LOCAL and IFA_ADDRESS.
        let mut message = vec![family as u8, prefix, flags, 0];
        message.extend_from_slice(&index.to_ne_bytes());
        for attribute in [libc::IFA_LOCAL, libc::IFA_ADDRESS] {
            message.extend_from_slice(&((4 + octets.len()) as u16).to_ne_bytes());
            message.extend_from_slice(&attribute.to_ne_bytes());
            message.extend_from_slice(&octets);
        }
        let create = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        Netlink::open(NETLINK_ROUTE)?.talk(libc::RTM_NEWADDR, Ask::Ack(create), &message, |_| ())
    };
    add().map_err(|e| NetnsError::Address(ip, e))
}

/// What may forbid namespaces; none where the file is not there.
#[derive(Debug, Clone, Default)]
struct Settings {
    max_user_namespaces: Option<u64>,
    max_net_namespaces: Option<u64>,
    unprivileged_userns_clone: Option<u64>,
    apparmor_restrict: Option<u64>,
    seccomp: Option<u64>,
    threads: Option<u64>,
}

impl Settings {
    fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok());
        Self {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            max_net_namespaces: number("/proc/sys/user/max_net_namespaces"),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restrict: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: field("Seccomp:"),
            threads: field("Threads:"),
        }
    }
}

/// Which setting is behind a refusal: the first that explains the errno.
fn forbidden(step: &'static str, errno: Errno, s: &Settings) -> NetnsError {
    let why = match errno {
        Errno::ENOSPC | Errno::EUSERS => match (s.max_user_namespaces, s.max_net_namespaces) {
            (Some(0), _) => "user.max_user_namespaces is 0".into(),
            (_, Some(0)) => "user.max_net_namespaces is 0".into(),
            (Some(user), Some(net)) => {
                format!(
                    "user.max_user_namespaces ({user}) or user.max_net_namespaces ({net}) is reached, here or in an outer namespace"
                )
            }
            _ => "user.max_user_namespaces is reached".into(),
        },
        Errno::EINVAL if s.threads.is_some_and(|n| n > 1) => {
            format!("this process has {} threads and must have one", s.threads.unwrap_or_default())
        }
        Errno::EINVAL => "the kernel was built without user or network namespaces (CONFIG_USER_NS, CONFIG_NET_NS)".into(),
        _ if s.unprivileged_userns_clone == Some(0) => "kernel.unprivileged_userns_clone is 0".into(),
        _ if s.apparmor_restrict == Some(1) => "kernel.apparmor_restrict_unprivileged_userns is 1".into(),
        _ if s.seccomp == Some(2) => {
            "a seccomp filter is on this process (a container's, most likely): Seccomp: 2 in /proc/self/status".into()
        }
        _ => "a security module or a chroot forbids it; no setting known to sockbench explains it".into(),
    };
    NetnsError::Forbidden { step, errno: errno as i32, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(errno: Errno, s: &Settings) -> String {
        forbidden("unshare(user, net)", errno, s).to_string()
    }

    /// The directory of the nearest settings that there are.
    #[test]
    fn a_setting_that_there_is_not_is_told_where_they_are() {
        for (key, dir) in [("net.ipv4.nosuch", "net/ipv4"), ("net.core.nosuch", "net/core"), ("net.nosuch.x", "net")] {
            let error = NetnsError::Sysctl { key: key.into(), value: "1".into(), errno: libc::ENOENT, why: "" };
            let hint = format!("the settings that a sandbox has: sockbench sandbox -- ls /proc/sys/{dir}");
            assert_eq!(error.hint(), Some(hint));
        }
    }

    #[test]
    fn each_refusal_names_its_setting() {
        let open =
            Settings { max_user_namespaces: Some(1000), max_net_namespaces: Some(1000), threads: Some(1), ..Settings::default() };
        let none = Settings { max_user_namespaces: Some(0), ..open.clone() };
        assert_eq!(
            why(Errno::ENOSPC, &none),
            "private namespaces are forbidden here: unshare(user, net): no space left on device (ENOSPC): user.max_user_namespaces is 0"
        );
        assert!(
            why(Errno::ENOSPC, &Settings { max_net_namespaces: Some(0), ..open.clone() }).contains("max_net_namespaces is 0")
        );
        assert!(why(Errno::ENOSPC, &open).contains("(1000)"));
        assert!(
            why(Errno::EPERM, &Settings { unprivileged_userns_clone: Some(0), ..open.clone() })
                .contains("unprivileged_userns_clone")
        );
        assert!(why(Errno::EACCES, &Settings { apparmor_restrict: Some(1), ..open.clone() }).contains("apparmor_restrict"));
        assert!(why(Errno::EPERM, &Settings { seccomp: Some(2), ..open.clone() }).contains("seccomp"));
        assert!(why(Errno::EINVAL, &Settings { threads: Some(2), ..open.clone() }).contains("2 threads"));
        assert!(why(Errno::EINVAL, &open).contains("CONFIG_USER_NS"));
        assert!(why(Errno::EPERM, &open).contains("security module"));
    }

    #[test]
    fn a_key_outside_net_is_refused_before_anything_is_done() {
        let e = enter(&[("kernel.pid_max".into(), "1".into())]).unwrap_err();
        assert!(matches!(e, NetnsError::Key(_)));
    }

    #[test]
    fn a_process_with_threads_is_told_so() {
        // A test runs on a second thread, so unshare(CLONE_NEWUSER) is EINVAL whatever the host allows.
        match enter(&[]).unwrap_err() {
            NetnsError::Forbidden { errno: libc::EINVAL, why, .. } => assert!(why.contains("threads"), "{why}"),
            NetnsError::Forbidden { why, .. } => crate::sys::skipped(&why),
            other => panic!("{other}"),
        }
    }
}
