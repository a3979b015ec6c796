//! Remedies: their commands are what the command line takes, and change what they say; following them converges.

mod commands;
mod converges;
mod simulated;
mod typed;
