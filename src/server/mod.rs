//! The server: mio reactors around a pure connection machine, two fixed pools, counters and an admin port.

pub mod route;
