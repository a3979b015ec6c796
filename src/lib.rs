//! sockbench: a load-testing daemon and client that knows why a load test failed.
//!
//! The floors, lowest first: [`model`] (plain data), [`sys`] (the only floor that talks to the OS),
//! [`http1`], [`evloop`], [`stats`], [`remedy`], [`diagnose`], [`gates`], [`compare`], [`merge`], [`watch`],
//! [`dist`] and [`report`] (pure), [`server`], [`load`] and [`observe`] (thin loops),
//! [`study`], and `cli` on top. A file imports only from lower floors and from its own folder;
//! `tests/architecture` holds that. `docs/ARCHITECTURE.md` says why.
//!
//! This is a program. Its places are private to the crate, so that the compiler names what nothing but a test uses;
//! `testing` lists what tests need of them. For the documentation they are public, so that it has to be complete.

// Derives that many types share are macros of their places: `#[apply(record)]`.
#[macro_use(apply)]
extern crate macro_rules_attribute;

#[doc(hidden)]
pub mod testing;

pub use cli::main;

// Of its name, because rustfmt follows the modules in no other macro.
macro_rules! cfg_if {
    (if #[cfg($on:meta)] { $($then:item)* } else { $($otherwise:item)* }) => {
        $(#[cfg($on)] $then)*
        $(#[cfg(not($on))] $otherwise)*
    };
}

cfg_if! {
    if #[cfg(doc)] {
        pub mod cli;
        pub mod compare;
        pub mod diagnose;
        pub mod dist;
        pub mod evloop;
        pub mod explain;
        pub mod gates;
        pub mod http1;
        pub mod live;
        pub mod load;
        pub mod merge;
        pub mod model;
        pub mod observe;
        pub mod remedy;
        pub mod report;
        pub mod server;
        pub mod stats;
        pub mod study;
        pub mod sys;
        pub mod watch;
    } else {
        mod cli;
        mod compare;
        mod diagnose;
        mod dist;
        mod evloop;
        mod explain;
        mod gates;
        mod http1;
        mod live;
        mod load;
        mod merge;
        mod model;
        mod observe;
        mod remedy;
        mod report;
        mod server;
        mod stats;
        mod study;
        mod sys;
        mod watch;
    }
}
