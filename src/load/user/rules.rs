//! What all users of a run share.

use std::sync::Arc;
use std::time::Duration;

use crate::http1::expect::Expect;
use crate::model::limits;
use crate::model::plan::{Closer, LoadPlan, Think};

/// What all users of a run share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// ask for and use kept connections
    pub keepalive: bool,
    /// who ends a connection that is not kept
    pub closer: Closer,
    /// wait between an answer and the next request
    pub think: Think,
    /// start to last byte
    pub timeout: Duration,
    /// what the answers may be, and may cost
    pub expect: Arc<Expect>,
}

impl Rules {
    /// The rules that a plan asks for.
    pub fn of(plan: &LoadPlan) -> Self {
        Self {
            keepalive: plan.keepalive,
            closer: plan.closer,
            think: plan.think,
            timeout: plan.timeout,
            expect: Arc::new(Expect {
                head_bytes: plan.limits.head_bytes,
                head_fields: plan.limits.head_fields,
                body_bytes: plan.limits.body_bytes,
                head_only: plan.method == "HEAD",
                upgrade: plan.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("upgrade")),
            }),
        }
    }

    /// Kept connections, no think time, default limits.
    pub fn keep_alive() -> Self {
        Self {
            keepalive: true,
            closer: Closer::Client,
            think: Think::default(),
            timeout: limits::REQUEST_TIMEOUT,
            expect: Arc::default(),
        }
    }
}
