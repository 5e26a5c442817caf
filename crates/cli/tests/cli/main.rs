//! The program as a user meets it: what it writes, what it says, and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod data;
mod reproduce;
mod restore;
mod resume;
mod run;
mod sample;
mod train;
