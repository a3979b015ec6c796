//! `sockbench sandbox`: any command in a private user and network namespace. Other commands and the tests get one by
//! [`enter`] for this process, [`crate::sys::child::sandboxed`] for a child.

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::{Exit, files};
use crate::model::environment::Environment;
use crate::model::errno::ENOEXEC;
use crate::sys::{child, netns, reaper};

/// The command was found, but could not be executed (as env(1) has it).
const EXIT_NOT_EXECUTABLE: u8 = 126;
/// There is no such command (as env(1) has it).
const EXIT_NOT_FOUND: u8 = 127;

/// Run any command in a private network namespace, as any user, without risk to the host.
///
/// The command gets its own loopback interface (up), its own ports and its own TCP settings, and is uid 0 inside. The
/// exit code is the command's; 3 when the namespace or a setting was refused, 126 or 127 when the command cannot be run.
/// When the command ends, even by SIGKILL, processes that it left in the namespace are ended too.
///
/// uid 0 is the only user inside: a server that changes its user must be configured not to (nginx: `user root;`).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) setup: Setup,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "reap", value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Watch over the namespace of this process
    #[arg(long, value_name = "PID", hide = true)]
    reap: Option<u32>,
}

/// Settings of the private namespace.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Setup {
    /// Setting in the namespace [default: the kernel's]
    ///
    /// Repeatable. Written in the namespace and read back, such as net.ipv4.tcp_tw_reuse=0.
    #[arg(long = "sysctl", value_name = "net.KEY=VALUE", value_parser = parse_setting, help_heading = "Target")]
    pub(crate) sysctls: Vec<(String, String)>,
    /// Further address on the loopback interface, repeatable [default: none]
    #[arg(hide_short_help = true, long = "address", value_name = "IP[/LEN]", value_parser = parse_address, help_heading = "Target")]
    pub(crate) addresses: Vec<(IpAddr, u8)>,
}

/// `--sandbox` of other commands: short for `sockbench sandbox`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SandboxArgs {
    /// Run in a private network namespace
    ///
    /// As with sockbench sandbox: with its own ports and TCP settings, without risk to this host.
    #[arg(long, help_heading = "Target")]
    pub(crate) sandbox: bool,
    #[command(flatten)]
    pub(crate) setup: Setup,
}

impl SandboxArgs {
    /// Enters the namespace when asked to; `url` is then an error, because the target would be outside. With the settings
    /// as [`enter`] gives them.
    pub(crate) fn enter_if_asked(&self, url: Option<&str>) -> Result<Vec<(String, String)>, Exit> {
        match (self.sandbox, url) {
            (false, _) => self.refuse_settings().map(|()| Vec::new()),
            (true, Some(_)) => Err(no_way_out()),
            (true, None) => enter(&self.setup),
        }
    }

    /// In the form that the plan records.
    pub(crate) fn environment(&self) -> Environment {
        if !self.sandbox {
            return Environment::default();
        }
        Environment {
            sandbox: true,
            sysctls: self.setup.sysctls.clone(),
            addresses: self.setup.addresses.iter().map(|(ip, prefix)| format!("{ip}/{prefix}")).collect(),
            ..Environment::default()
        }
    }

    /// Settings without a sandbox would be the host's.
    pub(crate) fn refuse_settings(&self) -> Result<(), Exit> {
        if self.setup.sysctls.is_empty() && self.setup.addresses.is_empty() {
            return Ok(());
        }
        Err(Exit::usage("--sysctl and --address: only with --sandbox: this host's settings stay as they are")
            .hint("add --sandbox"))
    }
}

/// A URL and a sandbox exclude each other.
pub(crate) fn no_way_out() -> Exit {
    Exit::usage("--sandbox: a private namespace cannot reach a server outside")
        .hint("without a URL, sockbench's own server runs inside; or: sockbench sandbox -- sh -c 'SERVER & sockbench load URL'")
}

pub(crate) fn run(args: Args) -> Result<u8, Exit> {
    let Args { setup, command, reap } = args;
    if let Some(pid) = reap {
        return reaper::reap(pid).map(|()| 0).map_err(|e| Exit::environment(format!("sandbox: reaper: {e}")));
    }
    let outside = reaper::namespace();
    show(&enter(&setup)?);
    reap_in_the_end(outside);
    let mut words = command.into_iter();
    let program = words.next().ok_or_else(|| Exit::usage("sandbox: no command"))?;
    // exec: this process becomes the command, so signals, job control and the exit code are the command's own. The request
    // to die with a parent (set again in `enter`) survives exec.
    let error = Command::new(&program).args(words).env_remove(child::PARENT_VAR).exec();
    Err(not_executed(&error, "sandbox", &program.to_string_lossy()))
}

/// A command `name` that there is not, or that could not be executed.
pub(super) fn not_executed(e: &io::Error, who: &str, name: &str) -> Exit {
    let code = if e.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
    let is_path = name.contains('/');
    let hint = match e.kind() {
        io::ErrorKind::NotFound if name.contains(char::is_whitespace) => {
            Some(format!("the command and its arguments are words of their own: -- {name}"))
        }
        io::ErrorKind::NotFound if is_path => {
            Some("it is not there, or the interpreter that its first line (#!) names is not".into())
        }
        io::ErrorKind::NotFound => Some(format!("no directory of PATH has it; one of this directory: ./{name}")),
        io::ErrorKind::PermissionDenied if is_path => Some(format!("chmod +x {name}, if it is a program")),
        // A shell runs such a file itself; nothing else does.
        _ if e.raw_os_error() == Some(ENOEXEC) => {
            Some(format!("a script begins with a line such as `#!/bin/sh`; else: -- sh {name}"))
        }
        _ => None,
    };
    Exit { code, message: format!("{who}: {name}: {}", files::words(e)), hint }
}

/// Has what the command leaves in its namespace ended with it; `outside` is the namespace that this process has left.
pub(super) fn reap_in_the_end(outside: io::Result<PathBuf>) {
    if let Err(e) = outside.and_then(|outside| reaper::start(&outside, &["sandbox", "--reap"])) {
        super::warn(&format!("processes that the command leaves behind will not be ended: {e}"));
    }
}

/// Moves this process, which must have one thread, into a private namespace; each setting as the kernel has it. First
/// act of a command.
///
/// Errors: exit 3 with the setting that forbids it; exit 2 for a key outside `net.`.
pub(crate) fn enter(setup: &Setup) -> Result<Vec<(String, String)>, Exit> {
    let held = netns::enter(&setup.sysctls).map_err(|e| exit(&e))?;
    for (ip, prefix) in &setup.addresses {
        netns::add_address(*ip, *prefix).map_err(|e| exit(&e))?;
    }
    // The change of credentials clears the request of `cli::main` (prctl(2)).
    if !child::die_with_parent() {
        return Err(Exit::environment("sandbox: the parent process ended"));
    }
    Ok(held)
}

/// What [`enter`] has set, a line each.
pub(crate) fn show(settings: &[(String, String)]) {
    for (key, value) in settings {
        super::tell_line(&format!("sandbox: {key} = {value}"));
    }
}

fn exit(e: &netns::NetnsError) -> Exit {
    let message = format!("sandbox: {e}");
    let exit = if matches!(e, netns::NetnsError::Key(_)) { Exit::usage(message) } else { Exit::environment(message) };
    Exit { hint: e.hint(), ..exit }
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected net.KEY=VALUE")?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || value.is_empty() {
        return Err("expected net.KEY=VALUE".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn parse_address(text: &str) -> Result<(IpAddr, u8), String> {
    let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
    let ip: IpAddr = ip.parse().map_err(|_| "expected an IP address")?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(p) => p.parse::<u8>().ok().filter(|p| *p <= longest).ok_or("expected a prefix length")?,
        None => longest,
    };
    Ok((ip, prefix))
}
