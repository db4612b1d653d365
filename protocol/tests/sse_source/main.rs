//! `EventSource` in virtual time, against a server made of strings.

mod answers;
mod attempts;
mod formats;
mod ids;
mod properties;
mod redirects;
mod request;
mod stream;
mod support;
mod time;
