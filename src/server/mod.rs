//! The server: a thin mio loop around pure connection machines.
