//! What RFC 6455 says of requests and answers, item by item.

use super::{Head, Verdict};
use tungstenite::handshake::derive_accept_key;

/// A request, as 4.2.1 has it; no subprotocol or extension is spoken.
pub fn server(head: &Head) -> Verdict {
    let must = |is, what: &str| if is { Ok(()) } else { Err(what.to_owned()) };
    // 1. "An HTTP/1.1 or higher GET request".
    must(head.start.starts_with("GET ") && head.start.ends_with(" HTTP/1.1"), "the first line")?;
    // 2. "A |Host| header field"; one, says RFC 9112, 3.2.
    must(head.values("Host").len() == 1, "Host")?;
    // 3. "An |Upgrade| header field containing the value 'websocket'", without regard to case. It is
    // a list (RFC 9110, 7.8).
    must(has(head, "Upgrade", "websocket"), "Upgrade")?;
    // 4. "A |Connection| header field that includes the token 'Upgrade'", without regard to case.
    must(has(head, "Connection", "Upgrade"), "Connection")?;
    // 5. "a base64-encoded value that, when decoded, is 16 bytes in length"; 11.3.1: once.
    let [key] = head.values("Sec-WebSocket-Key")[..] else { return Err("Key".into()) };
    must(is_16_bytes(key), "Key")?;
    // 6. "with a value of 13"; 11.3.5: once in a request.
    must(head.values("Sec-WebSocket-Version") == ["13"], "Version")?;
    // 8. "a list of values", which are tokens (11.3.4); none is spoken here.
    must(head.list("Sec-WebSocket-Protocol").into_iter().all(is_token), "Protocol")?;
    Ok(derive_accept_key(key.as_bytes()))
}

/// An answer, as 4.1 has it behind "Once the client's opening handshake has been sent".
pub fn client(head: &Head, offered: &[&str], answer: &str) -> Verdict {
    let must = |is, what: &str| if is { Ok(()) } else { Err(what.to_owned()) };
    // 1. "If the status code received from the server is not 101 ...".
    must(head.start.split(' ').nth(1) == Some("101"), "the status")?;
    // It is an answer to an HTTP/1.1 request, and 1.0 has no 101 (RFC 9110, 15.2).
    must(head.start.starts_with("HTTP/1.1 "), "the version of HTTP")?;
    // 2. "contains a value that is not an ASCII case-insensitive match for the value 'websocket'".
    let upgrades = head.values("Upgrade");
    must(upgrades.len() == 1 && upgrades[0].eq_ignore_ascii_case("websocket"), "Upgrade")?;
    // 3. "doesn't contain a token that is an ASCII case-insensitive match for the value 'Upgrade'".
    must(has(head, "Connection", "Upgrade"), "Connection")?;
    // 4. "ignoring any leading and trailing whitespace"; 11.3.3: once.
    let accepts = head.values("Sec-WebSocket-Accept");
    must(
        accepts.len() == 1 && accepts[0].replace(super::heads::ACCEPT, answer) == answer,
        "Accept",
    )?;
    // 5. "an extension that was not present in the client's handshake": none was.
    must(head.list("Sec-WebSocket-Extensions").is_empty(), "Extensions")?;
    // 6. "a subprotocol that was not present in the client's handshake"; 11.3.4: once.
    match head.values("Sec-WebSocket-Protocol")[..] {
        [] => Ok(String::new()),
        [name] if offered.contains(&name) => Ok(name.into()),
        _ => Err("Protocol".into()),
    }
}

fn has(head: &Head, name: &str, member: &str) -> bool {
    head.list(name).iter().any(|other| other.eq_ignore_ascii_case(member))
}

/// RFC 9110, 5.6.2.
fn is_token(word: &str) -> bool {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !word.is_empty() && word.chars().all(is_tchar)
}

/// Whether this is 16 bytes in base64: 21 digits, one with four zero bits at its end, and the padding
/// (RFC 4648, 4; 3.5 for the bits, which a decoder may insist on).
fn is_16_bytes(key: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let Some(digits) = key.strip_suffix("==").map(str::as_bytes) else { return false };
    digits.len() == 22 && digits.iter().all(is_digit) && b"AQgw".contains(&digits[21])
}
