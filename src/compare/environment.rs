//! What is not alike in two runs besides what they measured: machine, kernel, settings, target, plan.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::comparison::Unlike;
use crate::model::document::as_value;
use crate::model::order::distinct;
use crate::model::result::RunResult;

/// Parts of a plan that say nothing about its load: the seed, and of sockbench's own server where it happened to listen.
const OF_NO_MATTER: [&str; 1] = ["plan.seed"];
const OWN_ADDRESS: [&str; 4] = ["plan.target.url", "plan.target.addr", "plan.target.authority", "plan.target.resolved"];

/// Settings that differ, in the order of their names.
pub fn unlike(base: &RunResult, other: &RunResult) -> Vec<Unlike> {
    let (a, b) = (settings(base), settings(other));
    let own = base.plan.target.own_server && other.plan.target.own_server;
    let is_aside = |key: &str| {
        let whole = key.split('[').next().unwrap_or(key);
        OF_NO_MATTER.contains(&whole) || own && OWN_ADDRESS.contains(&whole)
    };
    let differ = distinct(a.keys().chain(b.keys())).into_iter().filter(|key| !is_aside(key) && a.get(*key) != b.get(*key));
    let shown = |side: &HashMap<String, String>, key: &String| side.get(key).cloned().unwrap_or_else(|| "(none)".into());
    differ.map(|key| Unlike { key: key.clone(), base: shown(&a, key), other: shown(&b, key) }).collect()
}

fn settings(run: &RunResult) -> HashMap<String, String> {
    let mut all = HashMap::new();
    let host = &run.host;
    put(&mut all, "host.kernel", &host.kernel);
    put(&mut all, "host.cpus", &host.cpus);
    put(&mut all, "host.sysctls", &host.sysctls);
    put(&mut all, "host.congestion_control", &host.congestion_control);
    put(&mut all, "host.cpu_quota", &host.cpu_quota);
    put(&mut all, "plan", &run.plan);
    all
}

fn put(all: &mut HashMap<String, String>, key: &str, value: &impl Serialize) {
    // A setting that cannot be written differs from every other.
    flatten(all, key, &as_value(value).unwrap_or_else(|e| Value::String(e.to_string())));
}

fn flatten(all: &mut HashMap<String, String>, key: &str, value: &Value) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, item)| flatten(all, &format!("{key}.{name}"), item)),
        Value::Null => {}
        Value::String(text) => drop(all.insert(key.to_owned(), text.clone())),
        // One setting each, so that what is shown is what differs: `NAME=VALUE` by its name, others by their place.
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| match item.as_str().and_then(|t| t.split_once('=')) {
                Some((name, text)) => drop(all.insert(format!("{key}.{name}"), text.to_owned())),
                None => flatten(all, &format!("{key}[{i}]"), item),
            });
        }
        Value::Bool(_) | Value::Number(_) => drop(all.insert(key.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixture;

    #[test]
    fn what_differs_is_named_and_chance_is_not() {
        let base = fixture::blank(&fixture::plan());
        let mut other = base.clone();
        other.plan.seed += 1;
        other.plan.target.url = "http://127.0.0.1:9999".into();
        assert!(unlike(&base, &other).is_empty(), "{:?}", unlike(&base, &other));
        other.host.kernel = "6.99".into();
        other.host.sysctls.tcp_tw_reuse = None;
        other.plan.users = 20;
        let keys: Vec<String> = unlike(&base, &other).into_iter().map(|u| u.key).collect();
        assert_eq!(keys, ["host.kernel", "host.sysctls.tcp_tw_reuse", "plan.users"]);
        // Of a list, what differs in it.
        let mut lists = base.clone();
        lists.plan.target.own_server = false;
        lists.plan.target.resolved = vec![([127, 0, 0, 1], 80).into(), ([127, 0, 0, 2], 80).into()];
        let mut others = lists.clone();
        others.plan.target.resolved[1].set_port(81);
        let keys: Vec<String> = unlike(&lists, &others).into_iter().map(|u| u.key).collect();
        assert_eq!(keys, ["plan.target.resolved[1]"]);
        // Another target is one, unless sockbench started both.
        (other.plan.target.own_server, other.host) = (false, base.host.clone());
        assert!(unlike(&base, &other).iter().any(|u| u.key == "plan.target.url"));
    }
}
