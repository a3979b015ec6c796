//! What a step of a study is called. Re-exported by [`study`](super::study), whose document it is part of.

use super::figures::{count, counted};

/// By what a step is called.
#[apply(record)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum StepKind {
    /// by the users of a closed loop
    Users {
        /// users of all machines, by the plan
        of: u32,
        /// those that had started when the step ended; absent where all had
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<u32>,
        /// whether connections are kept; absent where all steps of the plan do the same
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keepalive: Option<bool>,
    },
    /// by the rate of an open loop
    Rate {
        /// requests per second of all machines, by the plan
        per_s: f64,
        /// as that of `users`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keepalive: Option<bool>,
    },
    /// by its name in the plan
    Name {
        /// as it is written there
        name: String,
        /// as that of `users`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<u32>,
    },
}

/// No other code words it, or reads a label.
impl StepKind {
    /// The same step, of whose users only so many had started when it ended. An open loop has none.
    #[must_use]
    pub fn with_started(self, n: u32) -> Self {
        match self {
            Self::Users { of, keepalive, .. } => Self::Users { of, started: Some(n), keepalive },
            Self::Rate { .. } => self,
            Self::Name { name, .. } => Self::Name { name, started: Some(n) },
        }
    }

    /// `100 users`, `21 of 100 users`, `100 users, kept`, `500/s`, `short`, `short (21 of its users)`.
    pub fn label(&self) -> String {
        match self {
            Self::Users { of, started, keepalive } => {
                format!("{}{}{}", part(*started), counted(*of, "user"), connections(*keepalive))
            }
            Self::Rate { per_s, keepalive } => format!("{per_s}/s{}", connections(*keepalive)),
            Self::Name { name, started } => {
                started.map_or_else(|| name.clone(), |n| format!("{name} ({} of its users)", count(n)))
            }
        }
    }

    /// The same under the heading `users`: `100`, `21 of 100`, `100, kept`; none where it is not called by users.
    pub fn users(&self) -> Option<String> {
        let Self::Users { of, started, keepalive } = self else { return None };
        Some(format!("{}{}{}", part(*started), count(*of), connections(*keepalive)))
    }
}

fn part(started: Option<u32>) -> String {
    started.map_or_else(String::new, |n| format!("{} of ", count(n)))
}

const fn connections(keepalive: Option<bool>) -> &'static str {
    match keepalive {
        None => "",
        Some(true) => ", kept",
        Some(false) => ", short",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_called_by_its_load_or_by_its_name() {
        let users = |of, keepalive| StepKind::Users { of, started: None, keepalive };
        let name = |name: &str| StepKind::Name { name: name.into(), started: None };
        let words = |kind: StepKind| (kind.label(), kind.users(), kind.with_started(21).label());
        let all = |label: &str, users: Option<&str>, started: &str| (label.into(), users.map(str::to_owned), started.into());
        assert_eq!(words(users(100, None)), all("100 users", Some("100"), "21 of 100 users"));
        assert_eq!(words(users(100, Some(true))), all("100 users, kept", Some("100, kept"), "21 of 100 users, kept"));
        assert_eq!(users(1, Some(false)).label(), "1 user, short");
        assert_eq!(words(StepKind::Rate { per_s: 12.5, keepalive: None }), all("12.5/s", None, "12.5/s"));
        // Whatever a name looks like, it is one.
        assert_eq!(words(name("100 users")), all("100 users", None, "100 users (21 of its users)"));
        assert_eq!(users(2000, None).users().as_deref(), Some("2,000"));
    }
}
