//! For each finding: what the witness must have seen too, the nearest wrong finding, and what rules that one out. The words
//! for the witness are beside the rules, and in docs/FINDINGS.md.

use sockbench::testing::model::{Call, FindingId as Id, RunResult};

use super::Seen;

/// What backs a finding.
#[derive(Clone, Copy)]
pub(crate) struct Witnessed {
    check: fn(&RunResult, &Seen) -> Vec<(String, bool)>,
    /// the nearest wrong finding
    pub(crate) not: Option<Id>,
    /// and what rules it out
    pub(crate) because: &'static str,
}

impl Witnessed {
    /// What the witness saw otherwise.
    pub(crate) fn contradicts(&self, run: &RunResult, seen: &Seen) -> Vec<String> {
        (self.check)(run, seen).into_iter().filter(|(_, holds)| !holds).map(|(what, _)| format!("{what} ({seen:?})")).collect()
    }
}

/// Of a finding, or of a healthy run.
pub(crate) fn of(finding: Option<Id>) -> Witnessed {
    let w = |check, not, because| Witnessed { check, not: Some(not), because };
    let Some(id) = finding else { return Witnessed { check: nothing_failed, not: None, because: "" } };
    match id {
        Id::LocalPortsExhausted => w(fewer_syns, Id::TargetRefused, "no SYN left this machine for a failed attempt"),
        Id::LocalPortBusy => w(fewer_syns, Id::LocalPortsExhausted, "the call failed at a port that was asked for by number"),
        Id::LocalFdLimit => w(fewer_syns, Id::LocalPortsExhausted, "socket() failed, before any port was looked for"),
        Id::TargetGone => w(refused, Id::TargetHangs, "an RST answered each SYN"),
        Id::TargetRefused => w(refused, Id::TargetGone, "answers came after the last refusal, or none ever came"),
        Id::TargetConnectionLimit => w(places, Id::TargetHangs, "no connection that carried an answer hangs"),
        Id::TargetBacklogOverflow => w(overflows, Id::SlowConnects, "ListenOverflows or ListenDrops rose"),
        Id::SlowConnects => w(syn_retries, Id::TargetBacklogOverflow, "ListenOverflows and ListenDrops stayed at 0"),
        Id::TargetResets => w(unanswered, Id::TargetMalformed, "the connections ended before a first byte"),
        Id::TargetTimeouts => w(unanswered, Id::TargetBacklogOverflow, "the connections were made without a retry"),
        Id::TargetHangs => w(unanswered, Id::TargetConnectionLimit, "connections that carried answers hang too, or one alone"),
        Id::TargetMalformed => w(all_written, Id::TargetResets, "bytes of an answer came"),
        Id::TargetErrors => w(all_written, Id::TargetMalformed, "the answers were whole"),
        Id::ClientLimit => w(all_written, Id::TargetMalformed, "the answers keep to HTTP/1.1; the limit is the client's"),
        Id::ClientStalled => w(stopped, Id::TargetHangs, "the answers were there when the client ran again"),
        Id::HostContended => w(others, Id::TargetQueueing, "the kernel says that threads waited for a core"),
        Id::TargetForbidsKeepalive => w(reopened, Id::TargetResets, "the connections ended after whole answers"),
        Id::TargetSurplusBytes => w(all_written, Id::TargetMalformed, "the answers before the further bytes were whole"),
        Id::TargetSplitsAnswers => w(delayed_acks, Id::TargetQueueing, "the first byte of each answer came at once"),
        Id::FailuresWillReturn => w(in_time_wait, Id::LocalPortBusy, "the kernel chose the ports"),
        Id::PortBudgetHigh | Id::PortSearchSlow => w(in_time_wait, Id::LocalPortsExhausted, "no call failed"),
        Id::GeneratorSaturated => w(busy_client, Id::TargetQueueing, "the target's threads were idle"),
        Id::UsersNotReached => w(few_syns, Id::TargetRefused, "no connection was refused"),
        Id::TargetStalled => w(gap, Id::ClientStalled, "the client's threads ran meanwhile"),
        Id::TargetQueueing => w(one_at_a_time, Id::GeneratorSaturated, "the client's threads were idle"),
        Id::SysctlChanged => w(range_changed, Id::PortBudgetHigh, "the setting was read before and after"),
        Id::TargetCpuSaturated | Id::ClosedLoopLimited | Id::ThroughputPlateau | Id::TailEndpoint | Id::SlowBodies => {
            Witnessed { check: |_, _| Vec::new(), not: None, because: "" }
        }
    }
}

fn answered(run: &RunResult) -> u64 {
    run.totals.requests - run.totals.failures
}

/// What is under way when the run ends may be counted by one side only.
fn under_way(run: &RunResult) -> u64 {
    u64::from(run.plan.users) + run.totals.cut
}

/// A scripted target counted; sockbench's own server does not tell.
fn is_scripted(seen: &Seen) -> bool {
    seen.target.requests > 0
}

fn nothing_failed(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let zero = |name: &str| (format!("{name} = {}", seen.counter(name)), seen.counter(name) == 0);
    vec![zero("AttemptFails"), zero("ListenOverflows"), zero("ListenDrops"), written(run, seen, run.totals.requests)]
}

/// Attempts that failed here never became a SYN.
fn fewer_syns(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let syns = seen.counter("ActiveOpens");
    vec![(format!("{syns} SYNs for {} attempts", run.totals.attempts), syns < run.totals.attempts)]
}

fn refused(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let (rows, fails) = (run.count_errors(|e| e.call == Call::Connect && e.errno == Some(111)), seen.counter("AttemptFails"));
    vec![(format!("{fails} AttemptFails for {rows} refused connections"), fails >= rows)]
}

/// Either the kernel has them in its accept queue, or the target accepted them and read nothing.
fn places(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let limit = run.findings.iter().find(|f| f.id == Id::TargetConnectionLimit);
    let found = limit.and_then(|f| f.evidence.get("accept_queue")?.as_u64()).unwrap_or(0);
    if found > 0 {
        let queue = seen.accept_queue;
        // Those whose timeout ended them stay there: it grows.
        let near = queue.abs_diff(found) <= 1 + 8 * u64::from(run.totals.failures > 0);
        return vec![(format!("accept queue {queue} by /proc/net/tcp, {found} by sock_diag"), near)];
    }
    let all = seen.target.accepted >= u64::from(run.plan.users);
    let unread = seen.target.requests <= answered(run) + u64::from(run.plan.users) / 2;
    vec![("the target accepted all".into(), all), ("and did not read the waiting requests".into(), unread)]
}

fn overflows(_: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let n = seen.counter("ListenOverflows").max(seen.counter("ListenDrops"));
    vec![(format!("{n} ListenOverflows"), n > 0)]
}

fn syn_retries(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let (retried, again) = (run.totals.connects.map_or(0, |c| c.setup_retried), seen.counter("TCPSynRetrans"));
    let dropped = seen.counter("ListenOverflows").max(seen.counter("ListenDrops"));
    vec![
        (format!("{again} TCPSynRetrans for {retried} late connections"), again >= retried && retried > 0),
        (format!("{dropped} ListenDrops"), dropped == 0),
    ]
}

/// `should` whole answers, as the target counted them.
fn written(run: &RunResult, seen: &Seen, should: u64) -> (String, bool) {
    let is = seen.target.answers;
    let holds = !is_scripted(seen) || is.abs_diff(should) <= under_way(run);
    (format!("the target wrote {is} answers, {should} came"), holds)
}

/// The target wrote answers for those that were answered, and none for the others.
fn unanswered(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    vec![written(run, seen, answered(run))]
}

/// The target wrote an answer for each request, the failed ones too.
fn all_written(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let made = seen.counter("PassiveOpens");
    vec![
        written(run, seen, run.totals.requests),
        (format!("{made} PassiveOpens for {} connections", run.totals.connections_opened), made >= run.totals.connections_opened),
    ]
}

/// The acknowledgement of the first part was put off, once for each answer.
fn delayed_acks(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let n = seen.counter("DelayedACKs");
    vec![(format!("{n} DelayedACKs for {} answers", answered(run)), n >= answered(run) / 2), written(run, seen, answered(run))]
}

fn stopped(_: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    vec![(format!("/proc showed {} processes stopped", seen.stopped), seen.stopped > 0)]
}

fn others(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let quota = run.host.cpu_quota.is_some();
    vec![(
        format!("others used {:.0} % of a core", seen.others_percent),
        quota || seen.others_percent >= crate::rig::OTHERS_PERCENT,
    )]
}

fn reopened(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let made = seen.counter("PassiveOpens");
    let users = u64::from(run.plan.users);
    vec![(format!("{made} PassiveOpens for {users} users"), made > users && made >= run.totals.connections_opened)]
}

fn in_time_wait(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let peak = run.ports.as_ref().and_then(|p| p.peak_time_wait).unwrap_or(0);
    // Those of T = 1 s or 4 s go while the witness looks.
    let least = if run.host.sysctls.tcp_tw_reuse == Some(0) { u64::from(peak) * 6 / 10 } else { 1 };
    vec![(format!("{} sockets in TIME_WAIT by sockstat, {peak} at the peak", seen.time_wait), seen.time_wait >= least)]
}

fn busy_client(_: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    vec![(format!("the client used {:.0} % of a core", seen.children_percent), seen.children_percent >= 30.0)]
}

fn few_syns(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let (syns, asked) = (seen.counter("ActiveOpens"), run.totals.users_asked);
    vec![(format!("{syns} SYNs of {asked} users"), syns <= u64::from(asked) || !run.plan.keepalive)]
}

fn gap(run: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    let longest = run.findings.iter().find(|f| f.id == Id::TargetStalled).and_then(|f| f.evidence["longest_s"].as_f64());
    let longest_ms = longest.unwrap_or(0.0) * 1000.0;
    let holds = seen.stopped > 0 || seen.target.longest_gap_ms >= 0.8 * longest_ms;
    vec![(format!("the target wrote nothing for {:.0} ms", seen.target.longest_gap_ms), holds)]
}

/// Each of these targets works on one request at a time, for 20 ms.
fn one_at_a_time(run: &RunResult, _: &Seen) -> Vec<(String, bool)> {
    let rate = answered(run) as f64 / run.duration_s;
    vec![(format!("{rate:.1} answers/s of a worker that makes 50/s at most"), rate <= 52.0)]
}

fn range_changed(_: &RunResult, seen: &Seen) -> Vec<(String, bool)> {
    vec![("/proc/sys/net/ipv4/ip_local_port_range is another one".into(), seen.range_changed)]
}
