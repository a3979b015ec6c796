//! Counting and percentiles: recorder, per-second series, merge. Pure.
