//! What is published: events of one length that can be told apart.

/// The data of every event.
const DATA: &str = r#"{"model":"tide","choices":[{"index":0,"delta":{"content":" high water at noon, low at six"}}],"seq":"0123456789"}"#;

/// The id of the event that is published `number`th.
pub(super) fn id(number: u64) -> String {
    format!("{number:020}")
}

pub(super) fn data() -> &'static str {
    DATA
}

/// The event as everybody writes it (WHATWG HTML, 9.2.5).
pub(super) fn event(number: u64) -> String {
    format!("id: {number:020}\ndata: {DATA}\n\n")
}

/// The same as a chunk (RFC 9112, 7.1).
pub(super) fn chunk(number: u64) -> Vec<u8> {
    let event = event(number);
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
