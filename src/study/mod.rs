//! Studies: steps of users, cool-down, analysis.
//!
//! [`measured`] is one run with its observer and its diagnosis, [`destinations`] several of them side by side; [`run`] makes a study of several; [`analysis`] (pure)
//! says what they come to; [`own_server`] is the child server that they load when no URL is given;
//! [`windows_ports`] (pure) puts the experiment's accident
//! beside ours. [`preflight`] is the port budget before the first request; [`rehearse`] shows the accident and its remedies.

pub mod analysis;
pub mod destinations;
pub mod measured;
pub mod own_server;
pub mod preflight;
pub mod rehearse;
pub mod run;
pub mod windows_ports;
