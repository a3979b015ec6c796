//! What one plan changes of another, as flags.

use super::flags::{Flag, flags, quoted};
use crate::model::plan::{LoadPlan, Target};

/// Flags that are new or have another value, then `drop` and the names of those that go; none where both plans are the
/// same command.
///
/// ```
/// use sockbench::testing::model::{Closer, LoadPlan, Target};
/// use sockbench::testing::remedy::change::between;
/// let mut run = LoadPlan::new(Target::own(([127, 0, 0, 1], 8080).into()), Vec::new());
/// run.keepalive = false;
/// let mut other = LoadPlan { closer: Closer::Server, ..run.clone() };
/// assert_eq!(between(&run, &other).as_deref(), Some("--closer server"));
/// other.keepalive = true;
/// assert_eq!(between(&run, &other).as_deref(), Some("--closer server, drop --no-keepalive"));
/// assert_eq!(between(&run, &run), None);
/// ```
pub fn between(plan: &LoadPlan, other: &LoadPlan) -> Option<String> {
    let (before, after) = (flags(plan), flags(other));
    let same = |a: &Flag, b: &Flag| a.name == b.name && a.key == b.key;
    let mut set: Vec<String> = aim(&plan.target, &other.target).into_iter().collect();
    set.extend(after.iter().filter(|flag| !before.contains(flag)).map(ToString::to_string));
    let gone = before.iter().filter(|flag| !after.iter().any(|f| same(f, flag)));
    let mut dropped: Vec<String> =
        gone.map(|flag| if flag.key.is_empty() { flag.name.to_owned() } else { flag.to_string() }).collect();
    if other.target.own_server && !plan.target.own_server {
        dropped.insert(0, "the URL".to_owned());
    }
    let mut parts = Vec::new();
    if !set.is_empty() {
        parts.push(set.join(" "));
    }
    if !dropped.is_empty() {
        parts.push(format!("drop {}", dropped.join(" ")));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn aim(before: &Target, after: &Target) -> Option<String> {
    let is_new = before.own_server || before.url != after.url;
    (!after.own_server && is_new).then(|| quoted(&after.url))
}
