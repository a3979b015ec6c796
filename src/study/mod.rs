//! Steps of users, cool-down, analysis, rehearsal.
