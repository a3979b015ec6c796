//! `--live` and `--otlp`: who follows a run while it goes on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Exit, target, tell_line, warn};
use crate::live::{Begun, Collector, Door, Now, Page, Towards, Update};
use crate::load::run::UsersNow;
use crate::model::figures::{count, counted, were};
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::observe::{self, Baseline, LivePorts};
use crate::report::html::Document;
use crate::stats::interval::Interval;
use crate::sys::clock;

/// Where the page is by default: below the ports that Linux and Windows give to clients, so that it takes none of the run's.
const PAGE_PORT: u16 = 7625;
/// Where a collector takes figures (OTLP/HTTP) if the URL names no path.
const METRICS_PATH: &str = "/v1/metrics";

/// Who follows a run.
#[derive(Debug, clap::Args, Clone, Default)]
pub(crate) struct LiveArgs {
    #[arg(help = "Serve a page that follows the run [default: none]")]
    #[arg(long_help = format!("Serve a page that follows the run [default: none; alone: 127.0.0.1:{PAGE_PORT}]\n\nAn address and port, or \
        a port; port 0 takes a free one. It is the page of --html at / and Prometheus text at /metrics, on this host alone unless \
        --live-remote. It ends with the run."))]
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, value_parser = page_address, help_heading = "Output",
          default_missing_value = "127.0.0.1:7625")]
    live: Option<SocketAddr>,
    /// Let other hosts see the live page
    #[arg(long, hide_short_help = true, requires = "live", help_heading = "Output")]
    live_remote: bool,
    /// Send each second to a collector [default: none]
    ///
    /// OTLP/HTTP in its JSON encoding, to /v1/metrics if the URL names no path. A collector that is slow or away does not
    /// hold the run; its end waits for it 3 s at most.
    #[arg(long, hide_short_help = true, value_name = "URL", help_heading = "Output")]
    otlp: Option<String>,
}

fn page_address(text: &str) -> Result<SocketAddr, String> {
    if text.contains("://") {
        return Err("a URL, not an address to listen at\nhint: the URL goes before --live, or --live=ADDR:PORT".into());
    }
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let named = text.strip_prefix("localhost:").unwrap_or(text);
    named
        .parse()
        .map(local)
        .or_else(|_| text.parse())
        .map_err(|_| format!("not an address and port\nhint: such as 127.0.0.1:{PAGE_PORT}, or the port alone"))
}

/// What is open before the run, outside of a private namespace.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    page: Option<Door>,
    /// addresses, authority and path of the collector
    collector: Option<(Vec<SocketAddr>, String, String)>,
}

/// Those who follow the run; nobody by default.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    page: Option<(Page, String)>,
    collector: Option<Collector>,
}

impl LiveArgs {
    /// Somebody follows the run.
    pub(crate) fn is_asked(&self) -> bool {
        self.live.is_some() || self.otlp.is_some()
    }

    /// To be called before a private namespace is entered: the page stays outside of it.
    ///
    /// Errors: exit 2: an address that other hosts see, one that is in use, a URL that is none.
    pub(crate) fn open(&self, is_sandbox: bool) -> Result<Doors, Exit> {
        let page = self.live.map(|addr| self.open_page(addr)).transpose()?;
        let collector = match self.otlp.as_deref() {
            Some(url) if is_sandbox => {
                return Err(Exit::usage(format!("--otlp {url}: a private namespace has no way out to it"))
                    .hint("--live shows the figures at /metrics, outside of the namespace"));
            }
            Some(url) => Some(collector(url)?),
            None => None,
        };
        Ok(Doors { page, collector })
    }

    fn open_page(&self, addr: SocketAddr) -> Result<Door, Exit> {
        if !addr.ip().is_loopback() && !self.live_remote {
            return Err(Exit::usage(format!("--live {addr}: other hosts would see the page"))
                .hint(format!("127.0.0.1:{}, or --live-remote if they may", addr.port())));
        }
        Door::open(addr).map_err(|e| {
            let exit = Exit::usage(format!("--live {addr}: {}", super::files::words(&e)));
            if e.kind() == std::io::ErrorKind::AddrInUse { exit.hint("--live 0 takes a free port") } else { exit }
        })
    }
}

/// Errors: exit 2 for what is no http:// URL, 3 for a name that does not resolve.
fn collector(url: &str) -> Result<(Vec<SocketAddr>, String, String), Exit> {
    let (host, port, path) = target::parse(url).map_err(|e| {
        let https = url.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"));
        let (message, hint) = if https {
            ("https is not spoken here", "a collector on this host takes http://127.0.0.1:4318 and may send it on over TLS")
        } else {
            ("not an http:// URL", "such as http://127.0.0.1:4318")
        };
        Exit { message: format!("--otlp {url}: {message}"), ..e }.hint(hint)
    })?;
    let addrs = target::addresses(&host, port)?;
    let authority = target::authority(&host, port, addrs[0]);
    Ok((addrs, authority, if path == "/" { METRICS_PATH.to_owned() } else { path }))
}

impl Doors {
    /// Lets followers in. Says where the page is, unless `quiet`.
    ///
    /// Errors: exit 3: a thread could not be made.
    pub(crate) fn start(self, quiet: bool) -> Result<Followers, Exit> {
        let refused = |what: &str| {
            let what = what.to_owned();
            move |e: std::io::Error| Exit::environment(format!("{what}: {}", super::files::words(&e)))
        };
        let page = self.page.map(|door| {
            let url = door.url();
            door.serve().map(|page| (page, url)).map_err(refused("--live"))
        });
        let page = page.transpose()?;
        if let (Some((_, url)), false) = (&page, quiet) {
            tell_line(&format!("live page {url}, for Prometheus {url}metrics"));
        }
        let start = |(addrs, authority, path)| Collector::start(addrs, authority, path).map_err(refused("--otlp"));
        Ok(Followers { page, collector: self.collector.map(start).transpose()? })
    }
}

impl Followers {
    fn send(&self, update: impl FnOnce() -> Update) {
        if self.page.is_none() && self.collector.is_none() {
            return;
        }
        let update = update();
        if let Some((page, _)) = &self.page {
            page.send(update.clone());
        }
        if let Some(collector) = &self.collector {
            collector.send(update);
        }
    }

    /// Where the page is.
    pub(crate) fn page_url(&self) -> Option<&str> {
        self.page.as_ref().map(|(_, url)| url.as_str())
    }

    /// A run begins, or the step `label` of `steps`.
    pub(crate) fn begin(&self, plan: &LoadPlan, baseline: &Baseline, label: &str, steps: Option<usize>) {
        self.send(|| {
            let mut run = RunResult::new(plan.clone(), super::command_line(), clock::wall_rfc3339(), baseline.host.clone());
            if !plan.observe {
                observe::apply_unobserved(&mut run, "not watched: --no-observe");
            }
            Update::Begin(Arc::new(Begun { run, label: label.to_owned(), steps, unix_ns: clock::wall_unix_ns() }))
        });
    }

    pub(crate) fn on_interval(&self, second: &Interval) {
        self.send(|| Update::Interval(Arc::new(second.clone())));
    }

    pub(crate) fn on_second(&self, second: u64, users: UsersNow, live: Option<&LivePorts>, each: &[LivePorts]) {
        self.send(|| {
            let full_in_s = |live: &LivePorts| live.exhausted_in_s().filter(|_| live.short_lived);
            let towards = |live: &LivePorts| Some(Towards { seen: live.seen, ports: live.ports()?, full_in_s: full_in_s(live) });
            let live = live.copied().unwrap_or_default();
            Update::Second(Box::new(Now {
                second,
                users_asked: users.asked,
                users: users.active,
                seen: live.seen,
                ports: live.ports(),
                ports_in_use: live.count.map(|c| c.in_use.ports()),
                full_in_s: full_in_s(&live),
                destinations: each.iter().filter_map(towards).collect(),
            }))
        });
    }

    /// Between two steps.
    pub(crate) fn say(&self, text: &str) {
        self.send(|| Update::Say(text.to_owned()));
    }

    /// A run or a step is over.
    pub(crate) fn done(&self, result: &RunResult) {
        self.send(|| Update::Done(Arc::new(result.clone())));
    }

    /// All is over. Waits for those who take the last page, and for what the collector has not got yet; both shortly.
    pub(crate) fn end(self, last: impl FnOnce() -> Document) {
        if let Some((page, _)) = self.page {
            page.send(Update::End(last().update().into()));
        }
        let Some(collector) = self.collector else { return };
        match collector.finish() {
            None => warn("--otlp: the collector has not taken the last seconds within 3 s of the end"),
            Some(delivered) if delivered.lost > 0 => {
                let all = counted(delivered.taken + delivered.lost, "second");
                let why = delivered.why.unwrap_or_default();
                warn(&format!("--otlp: {} of {all} {} not delivered: {why}", count(delivered.lost), were(delivered.lost)));
            }
            Some(_) => {}
        }
    }
}
