//! The client: a thin mio loop around pure virtual users.
