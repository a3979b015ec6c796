//! The server: mio reactors around a pure connection machine, two fixed pools, counters and an admin port.

mod buffers;
pub mod conn;
pub mod counters;
pub mod route;
