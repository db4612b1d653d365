//! HTTP/1.1 (RFC 9110, RFC 9112).

/// Where one header line lies in the receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct HeaderSpan;
