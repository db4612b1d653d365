//! The tests through sockets, in one program: what they all need is compiled once for each runtime, and
//! not once for each file. Tests that measure memory or listen to the whole process are programs of their
//! own.
#![cfg(feature = "net")]

mod acceptance_http;
mod acceptance_reconnect;
mod acceptance_sse;
mod acceptance_ws_deflate;
mod acceptance_ws_end;
mod acceptance_ws_frames;
mod acceptance_ws_handshake;
mod broadcast;
mod cancel;
mod dial;
mod driver;
mod event_source;
mod event_source_cancel;
mod faults_cancel;
mod faults_mute;
mod faults_reset;
mod faults_slow;
mod from_stream;
mod handler_errors;
mod http_client;
mod http_streaming;
mod http_timeouts;
mod http_uploads;
mod interop_http;
mod local_runtime;
mod proxy;
mod reconnecting;
mod replay;
mod router;
mod server;
mod shutdown;
mod stats;
mod tls;
mod ws_cancel;
mod ws_sending;
mod ws_split;
