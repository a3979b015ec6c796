//! The observer: facts on a tick, each known or unavailable with its reason.
