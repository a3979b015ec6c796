//! Rules whose findings are information: how to read the figures.

use crate::diagnose::rule::Rule;
use crate::diagnose::rules;
use crate::model::finding::FindingId as Id;

pub(super) const RULES: &[Rule] = &[
    Rule {
        says: "the local target's CPU is at its limit, and throughput no longer grows",
        fires: "{CPU_LIMIT_PERCENT} of a limit is used over {CPU_RUN_S}: of all cores (with the client beside it), of the only thread, of the /cpu workers of a sockbench server while jobs queue, of its event loop, or of one core of another server (a full thread, or never above {ONE_CORE_PERCENT} in all); and the asked rate was missed, or the rate stayed flat while users came, or {IN_FLIGHT_TIMES} times as many requests as it can work on are there",
        needs: "the CPU of the target's processes is not known, or the run is shorter than {CPU_RUN_S}",
        advises: "more workers or cores, less work, a profile, fewer users or a lower rate",
        as_cause: "the target is at its CPU limit",
        ..Rule::of(Id::TargetCpuSaturated, rules::cpu::target_cpu)
    },
    Rule {
        says: "throughput is users / (think + response): more users, not a faster server, would raise it",
        fires: "a closed loop whose think time is longer than the response, the measured rate within {CLOSED_LOOP_NEAR} of the arithmetic, at most {FEW_FAILURES} failed, and the target's queue below {CLOSED_LOOP_NEAR} of a user's cycle. Not where the target is full, hangs, stalls or is gone, nor where something stalled or took the cores",
        needs: "nothing was answered after the last user had started, or answers vary without Server-Timing",
        advises: "more users, a rate instead of users",
        as_cause: "the users' own pace sets the rate",
        ..Rule::of(Id::ClosedLoopLimited, rules::info::closed_loop)
    },
    Rule {
        says: "study: the step after which throughput no longer grows, with the two limits that could explain it",
        fires: "users grew {GROWN_USERS} times from one step to the next, and throughput less than {PLATEAU_TIMES} times",
        needs: "fewer than two steps of a study were answered",
        advises: "a step between the two, kept connections, more workers",
        as_cause: "throughput no longer grows",
        ..Rule::of(Id::ThroughputPlateau, rules::study::single)
    },
    Rule {
        says: "which endpoint makes the tail",
        fires: "its p95 is {TAIL_TIMES} times that of the next endpoint, each with {TAIL_REQUESTS} requests",
        needs: "fewer than two endpoints have {TAIL_REQUESTS} answers",
        advises: "the endpoint alone, the others without it",
        as_cause: "one endpoint makes the tail",
        ..Rule::of(Id::TailEndpoint, rules::info::tail)
    },
    Rule {
        says: "where the time of answers goes: their first byte comes soon, their small body long after it",
        fires: "the median time of an endpoint from first to last byte, over at least {BODY_ANSWERS} answers, is {BODY_LEAST_MS} or more, {BODY_SHARE} of the latency, and {BODY_NEEDS_TIMES} times what a body of that size needs: a round trip for its first bytes, one more for each time that the sender doubles what it sends at once, and a millisecond for each {BODY_BYTES_PER_MS} bytes. Or the same of the 99th percentile over at least {BODY_TAIL_ANSWERS}, with all the bytes in these answers, where nothing stalled or took the cores",
        advises: "a look at when the bytes of one answer come",
        as_cause: "the bodies of answers come slowly",
        ..Rule::of(Id::SlowBodies, rules::bodies::slow_bodies)
    },
];
