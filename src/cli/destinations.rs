//! Several URLs, and `--mix` entries that are URLs: what is asked of which destination. A destination is an address and a
//! port: two names or two paths of one are one destination.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::request_args::Mix;
use super::target::{self, Resolved};
use super::{Exit, ports_args};
use crate::cli::connection_args::ConnectionArgs;
use crate::model::figures::count;
use crate::model::limits;
use crate::model::plan::{Aim, LoadPlan, MixEntry, PortMode, Share, Undivided};
use crate::model::port_count::concrete;

/// Whether these words name more than one URL can: several, or entries of the mix that are URLs.
pub(crate) fn are_asked(urls: &[String], mix: Option<&Mix>) -> bool {
    urls.len() > 1 || mix.is_some_and(|mix| mix.0.iter().any(MixEntry::is_url))
}

/// What is asked of each destination, in the order in which they are named.
///
/// Errors: exit 2, entries and URLs that do not fit each other; what [`target::resolve`] refuses.
pub(crate) fn aims(urls: &[String], mix: Option<&Mix>, allow_remote: bool) -> Result<Vec<Aim>, Exit> {
    let mut all = Aims { allow_remote, known: BTreeMap::new(), found: Vec::new(), named: Vec::new() };
    for url in urls {
        let found = all.resolve(url)?;
        let at = all.place(&found);
        all.named.push((at, found.target.authority.clone(), url.clone()));
        if mix.is_none() {
            all.ask(at, &found.target.authority, &found.path, 1, url)?;
        }
    }
    let named = all.named.clone();
    for entry in mix.iter().flat_map(|mix| &mix.0) {
        if entry.is_url() {
            let found = all.resolve(&entry.path)?;
            let given = named.iter().any(|(at, ..)| all.address(*at) == concrete(found.target.addr));
            if !named.is_empty() && !given {
                return Err(Exit::usage(format!("--mix {}: at none of the URLs that are given", entry.path))
                    .hint("give its URL too, or leave all URLs out: the entries of --mix name them"));
            }
            let at = all.place(&found);
            all.ask(at, &found.target.authority, &found.path, entry.weight, &entry.path)?;
        } else if named.is_empty() {
            return Err(Exit::usage(format!("--mix {}: a path, and no URL that it belongs to", entry.path))
                .hint("sockbench load URL URL --mix ...: a path is asked for at each URL"));
        } else {
            let mut done: Vec<(usize, &str)> = Vec::new();
            for (at, authority, _) in &named {
                if !done.contains(&(*at, authority.as_str())) {
                    done.push((*at, authority));
                    all.ask(*at, authority, &entry.path, entry.weight, &entry.path)?;
                }
            }
        }
    }
    if let Some((_, _, url)) = named.iter().find(|(at, ..)| all.found[*at].mix.is_empty()) {
        return Err(
            Exit::usage(format!("{url}: no entry of --mix is for it")).hint("an entry with its URL, or with a path alone")
        );
    }
    within_limits(&all.found)?;
    Ok(all.found)
}

fn within_limits(aims: &[Aim]) -> Result<(), Exit> {
    if aims.len() > limits::DESTINATIONS_MAX {
        return Err(Exit::usage(format!("{} destinations: more than {}", aims.len(), limits::DESTINATIONS_MAX))
            .hint("fewer URLs, or several runs at the same time: --start-at"));
    }
    let entries: usize = aims.iter().map(|aim| aim.mix.len()).sum();
    let weight: u64 = aims.iter().map(Aim::weight).sum();
    if entries > limits::MIX_ENTRIES || weight > u64::from(u32::MAX) {
        let (entries, weight) = (count(entries as u64), count(weight));
        return Err(Exit::usage(format!(
            "{entries} entries of weight {weight} in all: more than {}, or beyond {}",
            limits::MIX_ENTRIES,
            u32::MAX
        ))
        .hint("a path in --mix is asked for at each URL: fewer of them"));
    }
    Ok(())
}

struct Aims {
    allow_remote: bool,
    /// each name and port is looked up once
    known: BTreeMap<(String, u16), Resolved>,
    found: Vec<Aim>,
    /// of each URL that is given: its destination, its authority, and itself
    named: Vec<(usize, String, String)>,
}

impl Aims {
    fn resolve(&mut self, url: &str) -> Result<Resolved, Exit> {
        let (host, port, path) = target::parse(url)?;
        if let Some(known) = self.known.get(&(host.clone(), port)) {
            return Ok(Resolved { path, ..known.clone() });
        }
        let found = target::resolve(url, self.allow_remote)?;
        self.known.insert((host, port), found.clone());
        Ok(found)
    }

    fn address(&self, at: usize) -> SocketAddr {
        concrete(self.found[at].target.addr)
    }

    /// The place of its destination, which is made where it is new.
    fn place(&mut self, found: &Resolved) -> usize {
        let address = concrete(found.target.addr);
        (0..self.found.len()).find(|at| self.address(*at) == address).unwrap_or_else(|| {
            self.found.push(Aim { target: found.target.clone(), mix: Vec::new() });
            self.found.len() - 1
        })
    }

    /// `given` is how it was typed. Errors: exit 2, twice.
    fn ask(&mut self, at: usize, authority: &str, path: &str, weight: u32, given: &str) -> Result<(), Exit> {
        let entry = MixEntry { path: path.to_owned(), weight };
        let aim = &mut self.found[at];
        // Another name of the same destination is another Host field.
        let entry = if authority == aim.target.authority { entry } else { entry.as_url(authority) };
        if aim.mix.iter().any(|known| known.path == entry.path) {
            return Err(Exit::usage(format!("{given}: {} is named twice", entry.as_url(authority).path))
                .hint("once, with a weight: --mix URL=2,URL=1"));
        }
        aim.mix.push(entry);
        Ok(())
    }
}

/// `plan` for several destinations, and the plan of each.
///
/// Errors: exit 2, a destination for which nothing is left, or a way to choose ports that has no pool for each.
pub(crate) fn divided(plan: LoadPlan, aims: &[Aim], conn: &ConnectionArgs) -> Result<(LoadPlan, Vec<LoadPlan>), Exit> {
    if plan.port_mode == PortMode::Bind {
        return Err(Exit::usage(
            "--port-mode bind: a port that bind() chose is taken for all destinations: none has a pool of its own",
        )
        .hint("--port-mode no-port chooses it when the destination is known; or one URL"));
    }
    let (plan, mut parts) = plan.divided(aims).map_err(|none| nothing_left(none, &aims[none.which]))?;
    for part in &mut parts {
        // Which source address leads to it may differ.
        part.sources = ports_args::resolve(conn, part.target.addr)?.sources;
    }
    Ok((plan, parts))
}

fn nothing_left(none: Undivided, aim: &Aim) -> Exit {
    let (what, flag) = match none.what {
        Share::Users => ("user", "-c"),
        Share::StageUsers => ("user", "--stages: a level of"),
        Share::Requests => ("request", "-n"),
        Share::Ports => ("source port", "--port-range"),
    };
    let exit = Exit::usage(format!(
        "{}: no {what} of {} is left for it, with weight {}",
        aim.target.url,
        count(none.total),
        count(aim.weight())
    ));
    exit.hint(match none.what {
        Share::Ports => format!("{} ports, or weights that are nearer to each other", count(none.least)),
        _ => format!("{flag} {}, or weights that are nearer to each other", none.least),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::request_args;

    fn asked(urls: &[&str], mix: Option<&str>) -> Result<Vec<String>, Exit> {
        let mix = mix.map(|text| request_args::mix(text).expect("a mix"));
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        let shown = |aim: &Aim| {
            let entries = aim.mix.iter().map(|m| format!("{}={}", m.path, m.weight));
            format!("{} {}", aim.target.authority, entries.collect::<Vec<_>>().join(" "))
        };
        aims(&urls, mix.as_ref(), false).map(|aims| aims.iter().map(shown).collect())
    }

    const A: &str = "http://127.0.0.1:1001/x";
    const B: &str = "http://127.0.0.1:1002/";

    #[test]
    fn each_url_is_a_part_and_the_entries_of_the_mix_are_where_they_belong() {
        let all: [(&[&str], Option<&str>, &[&str]); 8] = [
            (&[A, B], None, &["127.0.0.1:1001 /x=1", "127.0.0.1:1002 /=1"]),
            (&[A, B], Some("/a=3,/b"), &["127.0.0.1:1001 /a=3 /b=1", "127.0.0.1:1002 /a=3 /b=1"]),
            (
                &[],
                Some("http://127.0.0.1:1001/x=9,http://127.0.0.1:1002/y?q=1"),
                &["127.0.0.1:1001 /x=9", "127.0.0.1:1002 /y?q=1=1"],
            ),
            (&[A, B], Some("/a=2,http://127.0.0.1:1002/b=5"), &["127.0.0.1:1001 /a=2", "127.0.0.1:1002 /a=2 /b=5"]),
            (
                &["HTTP://127.0.0.1:1001/x", B],
                Some("Http://127.0.0.1:1001/x=2,/b"),
                &["127.0.0.1:1001 /x=2 /b=1", "127.0.0.1:1002 /b=1"],
            ),
            // One destination: two paths, two addresses that mean this host, and another name.
            (&[A, "http://127.0.0.1:1001/y", B], None, &["127.0.0.1:1001 /x=1 /y=1", "127.0.0.1:1002 /=1"]),
            (&[A, "http://0.0.0.0:1001/x"], None, &["127.0.0.1:1001 /x=1 http://0.0.0.0:1001/x=1"]),
            (&[A, "http://0.0.0.0:1001/"], Some("/a=2"), &["127.0.0.1:1001 /a=2 http://0.0.0.0:1001/a=2"]),
        ];
        for (urls, mix, wanted) in all {
            assert_eq!(asked(urls, mix).expect("accepted"), wanted, "{urls:?} {mix:?}");
        }
    }

    #[test]
    fn settings_of_a_server_that_nobody_asks_are_refused() {
        for url in ["--mix http://127.0.0.1:1001/=1", "--mix HTTP://127.0.0.1:1001/=1,http://127.0.0.1:1002/"] {
            let words = format!("load --server cpu-workers=1 {url}");
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let refused = crate::cli::read_command(&words).expect_err(url);
            assert!(format!("{refused:?}").contains("--server: http://127.0.0.1:1001/ is loaded"), "{refused:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_one_line_and_a_hint() {
        let many: Vec<String> = (1..=limits::DESTINATIONS_MAX + 1).map(|n| format!("http://127.0.0.1:{n}/")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all: [(&[&str], Option<&str>, &str); 7] = [
            (&[A, A], None, "named twice"),
            (&[A, B], Some("http://127.0.0.1:1003/=1"), "at none of the URLs"),
            (&[A, B], Some("http://127.0.0.1:1001/a=1"), "no entry of --mix is for it"),
            (&[], Some("/a=1,http://127.0.0.1:1001/=1"), "no URL that it belongs to"),
            (&[], Some("http://127.0.0.1:1001/a=1,http://192.0.2.1/=1"), "not an address of this host"),
            (&[A, "https://127.0.0.1/"], None, "https is not supported"),
            (&many, None, "more than 16"),
        ];
        for (urls, mix, wanted) in all {
            let exit = asked(urls, mix).expect_err(wanted);
            assert!(exit.message.contains(wanted) && exit.code == 2 && exit.hint.is_some(), "{exit:?}");
            assert!(!exit.message.contains('\n'), "{exit:?}");
        }
    }
}
