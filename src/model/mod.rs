//! Plain data: what was asked ([`plan`]), what happened to one request ([`outcome`]), what was seen
//! ([`facts`]), what a run came to ([`result`]) and what it means ([`finding`]).
//!
//! Not here: anything that computes over time, reads a clock or talks to the OS. Derived figures that two
//! renderers need are methods on these types, so that no two renderers compute the same figure twice.

/// `#[apply(record)]`: what each part of a document derives. It has a schema in the tests (docs/schema).
macro_rules! record {
    ($($item:tt)*) => {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        $($item)*
    };
}

/// `#[apply(sparse)]`: a [`record`] in which what is not there is an absent key, never a null.
macro_rules! sparse {
    ($($item:tt)*) => {
        #[serde_with::skip_serializing_none]
        #[apply(record)]
        $($item)*
    };
}

/// What an enum derives whose variants carry no data: the kinds of something. In JSON and as `&str` each variant is its name in
/// the case that is given first, `"kebab-case"` for one.
macro_rules! kinds {
    ($case:tt $($item:tt)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize, strum::IntoStaticStr)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(rename_all = $case)]
        #[strum(serialize_all = $case)]
        $($item)*
    };
}

/// `#[apply(kebab_case)]`, `#[apply(lowercase)]`, `#[apply(snake_case)]`: see [`kinds`].
macro_rules! kebab_case {
    ($($item:tt)*) => { kinds! { "kebab-case" $($item)* } };
}
macro_rules! lowercase {
    ($($item:tt)*) => { kinds! { "lowercase" $($item)* } };
}
macro_rules! snake_case {
    ($($item:tt)*) => { kinds! { "snake_case" $($item)* } };
}

/// Gives kinds that strum knows the words of (`IntoStaticStr`) a method for it.
macro_rules! words {
    ($($kind:ty),*) => {
        $(impl $kind {
            /// Its word in reports, JSON and flags.
            pub fn word(self) -> &'static str {
                self.into()
            }
        })*
    };
}

/// Lets counts be added, field by field; a field that is not listed does not compile. Sums stay at the most that fits: counts
/// may come from a document.
macro_rules! adds_up {
    ($counts:ty: $($count:ident),*) => {
        impl std::ops::AddAssign for $counts {
            fn add_assign(&mut self, other: Self) {
                let Self { $($count),* } = self;
                $(*$count = $count.saturating_add(other.$count);)*
            }
        }
    };
}
pub(crate) use adds_up;

pub mod address;
pub mod body;
pub mod budget;
pub mod by_name;
mod closes;
pub mod comparison;
pub mod course;
pub mod document;
pub mod environment;
pub mod errno;
mod error_row;
pub mod explanation;
pub mod facts;
pub mod figures;
pub mod finding;
pub mod forecast;
mod latency;
pub mod limits;
pub mod metrics;
pub mod observed;
pub mod order;
pub mod outcome;
pub mod pinning;
pub mod plan;
pub mod port_count;
pub mod port_mode;
pub mod ports_report;
pub mod prediction;
pub mod protocol_fault;
pub mod received;
pub mod rehearsal;
pub mod result;
pub mod series;
pub mod server_flags;
mod server_plan;
pub mod stalls;
pub mod start;
mod step;
pub mod study;
pub mod time;
pub mod units;
pub mod validity;
pub mod verdict;
pub mod watch;
