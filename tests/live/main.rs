//! The program as processes, and the kernel in private network namespaces.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may unwrap and prints what it measured")]

mod advice;
mod browser;
mod compare_command;
mod containers;
mod counting;
mod daemon;
mod destinations;
#[path = "../support/documents.rs"]
mod documents;
mod exhaustion_model;
mod explain_command;
mod explain_locust;
#[path = "../support/facts.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod facts;
mod followers;
mod gates_command;
mod load_command;
mod locust_master;
#[path = "../support/loud.rs"]
mod loud;
mod machines;
mod merge_command;
mod names_live;
#[path = "../support/near.rs"]
mod near;
mod observe_live;
mod observe_ports_command;
mod output_paths;
mod own_server;
mod port_facts;
mod refused_live;
mod rehearse_live;
mod relay;
mod ring_wear;
#[path = "../support/runs.rs"]
mod runs;
mod sandbox_lifetime;
mod sandbox_settings;
#[path = "../support/served.rs"]
mod served;
mod server_process;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod truth_table;
#[path = "../support/until.rs"]
mod until;
mod watch_around;
mod watch_command;
