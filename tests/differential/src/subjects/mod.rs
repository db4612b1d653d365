//! Who is compared: each makes a [`Verdict`](crate::case::Verdict) of a case.
//!
//! Servers answer every request once its end has come (`404` to a CONNECT, which ends nothing), and
//! clients have sent all requests before the first byte comes. Limits are out of reach, so that
//! they decide nothing.

pub mod http_net;
pub mod httparse;
pub mod script;
pub mod tidewire;

pub const NAMES: [&str; 4] = ["http-net", "httparse", "h11", "node"];
