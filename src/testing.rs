//! What tests, benches and examples use of this crate. Everything else is private to it, so that the compiler names what
//! nobody uses; nothing here is an interface for anybody else.

pub mod cli {
    pub use crate::cli::{read_command, read_plan};
}
pub mod compare {
    pub use crate::compare::{k6, locust, oha};
}
pub mod diagnose {
    pub use crate::diagnose::ports::budget::Budget;
    pub use crate::diagnose::rule::{Found, NoFinding};
    pub use crate::diagnose::{
        Diagnosis, deciding, diagnose, diagnose_study, findings_markdown, preflight, ruling, settle, study_ruling,
    };
    pub mod thresholds {
        pub use crate::diagnose::thresholds::{LATENESS_MS, OTHERS_PERCENT};
    }
    pub mod table {
        pub use crate::diagnose::table::{rule_of, rules};
    }
}
pub mod dist {
    pub mod locustfile {
        pub use crate::dist::locust::locustfile::{Asks, classes};
    }
}
pub mod evloop {
    pub use crate::evloop::{Generation, SlotToken};
}
pub mod explain {
    pub use crate::explain::{Known, Rates, TextReader, explain_run, explain_text, read_line};
    pub mod locust_csv {
        pub use crate::explain::locust_csv::{Kind, counts, explain_exceptions, explain_locust, read_history};
    }
}
pub mod gates {
    pub use crate::gates::{Figure, Metric, Test, parse};
}
pub mod http1 {
    pub use crate::http1::chunked::Chunked;
    pub use crate::http1::encode::{Answers, JobBody, Link, Timing};
    pub use crate::http1::expect::Expect;
    pub use crate::http1::request::{Found, HeadLimits, HeadReader};
    pub use crate::http1::request_bytes::request;
    pub use crate::http1::response::{Answer, AnswerHeads, Progress, ResponseReader, Start};
}
pub mod load {
    pub use crate::load::pacer::Schedule;
    pub use crate::load::run::{Ended, UsersNow, Watch, run};
    pub use crate::load::steering::Steering;
    pub use crate::load::user::{After, Begin, Rules, User};
}
pub mod model {
    pub use crate::model::body::Body;
    pub use crate::model::course::{Course, LevelOf, Stage, Stages};
    pub use crate::model::environment::Environment;
    pub use crate::model::explanation::{Certainty, Exactly, Explanation, Limit, Os, Reading, Side};
    pub use crate::model::facts::{KernelCounters, TcpState};
    pub use crate::model::finding::{Finding, FindingId, Remedy, Severity};
    pub use crate::model::forecast::Forecast;
    pub use crate::model::outcome::{
        Call, Cause, EADDRNOTAVAIL, ECONNRESET, EndpointId, Failure, FailureSide, Foreign, Outcome, Party, Phase, ProtocolFault,
        Sample,
    };
    pub use crate::model::plan::{
        Arrivals, Closer, CpuWork, LoadPlan, MixEntry, Pinning, PortChoice, PortMode, PortRange, ServerCloser, ServerPlan,
        Target, Think,
    };
    pub use crate::model::port_count::InUse;
    pub use crate::model::ports_report::PortsReport;
    pub use crate::model::prediction::{Metric, Prediction};
    pub use crate::model::received::escaped;
    pub use crate::model::rehearsal::{Effect, Rehearsal};
    pub use crate::model::result::{
        AfterLastAnswer, Closes, Connects, CoreUse, Doubt, Elsewhere, Endpoint, ErrorRow, FailureSpan, Framing, Host, InFlight,
        LatencyMs, PartialAnswer, PhaseMs, PhasesMs, PortForecast, PortStates, Ports, Received, RunResult, RunStamp, SeriesPoint,
        ServerTimingMs, Silence, Steady, Stretch, SurplusKind, SurplusRow, Sysctls, TargetResources, ThreadRow, Throttling,
        Validity, VerdictId,
    };
    pub use crate::model::server_flags::ServerFlags;
    pub use crate::model::time::Stamp;
    pub mod figures {
        pub use crate::model::figures::{ms, percent, rate, seconds};
    }
    pub mod limits {
        pub use crate::model::limits::{BODY_BYTES, HEAD_BYTES, HEAD_FIELDS, LATENCY_MAX_US, TARGET_BYTES};
    }
}
pub mod observe {
    pub use crate::observe::{Baseline, ObservePlan, Observer, apply_unobserved};
    pub mod socket_count {
        pub use crate::observe::socket_count::towards;
    }
}
pub mod remedy {
    pub mod promise {
        pub use crate::remedy::promise::measured;
    }
    pub mod change {
        pub use crate::remedy::change::between;
    }
    pub mod command {
        pub use crate::remedy::command::load;
    }
}
pub mod report {
    pub use crate::report::chart::{Axis, AxisSide, Chart, Color, Marker, Reference, Series, Shape};
    pub use crate::report::style::{Style, Tone};
    pub use crate::report::text::{Detail, Page, render_explanation, render_ports, render_run};
    pub mod hlog {
        pub use crate::report::hlog::read;
    }
    pub mod json {
        pub use crate::report::json::parse;
    }
}
pub mod server {
    pub use crate::server::conn::{Conn, Ctx, Job, JobResult, RequestHeads, Rules, Spare};
    pub use crate::server::counters::Counters;
    pub use crate::server::{Handle, Server, Summary};
}
pub mod stats {
    pub use crate::stats::aggregate::Aggregate;
    pub use crate::stats::interval::Interval;
    pub use crate::stats::outages::Outages;
    pub use crate::stats::recorder::Recorder;
}
pub mod sys {
    pub use crate::sys::child::{Child, ChildError, Stderr};
    pub use crate::sys::clock::{Clock, sleep};
    pub use crate::sys::host::read_host;
    pub use crate::sys::process::{read_tree, read_usage};
    pub use crate::sys::signals::StopFlag;
    pub use crate::sys::sock_diag::{Family, Scope, SockDiag, States};
    pub use crate::sys::thread::cores;
    pub mod proc_net {
        pub use crate::sys::proc_net::{read_counters, read_sockstat};
    }
    pub mod socket {
        pub use crate::sys::socket::{
            ConnectSpec, SocketError, can_self_connect, connect, is_self_connected, probe_local_port_range,
        };
    }
    pub mod sysctl {
        pub use crate::sys::sysctl::write;
    }
}
