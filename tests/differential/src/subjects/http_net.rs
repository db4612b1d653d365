//! The crate `http-net`.

use crate::case::{Asked, Case, End, Field, Message, Verdict};
use http_net::{
    ClientConn, ClientEvent, Headers, HttpError, Limits, Request, Response, ServerConn,
    ServerEvent, Version,
};

pub fn judge(case: &Case) -> Verdict {
    let mut messages = Vec::new();
    let end = if case.is_requests() {
        requests(&case.bytes, &mut messages)
    } else {
        responses(case, &mut messages)
    };
    Verdict { messages, end }
}

fn requests(mut bytes: &[u8], messages: &mut Vec<Message>) -> End {
    let mut conn = ServerConn::with_limits(limits());
    let mut out = Vec::new();
    loop {
        match conn.poll() {
            Ok(ServerEvent::Request(head)) => {
                let mut message = message(
                    head.method_str().as_bytes(),
                    head.target().as_bytes(),
                    head.version(),
                    head.headers(),
                );
                message.keep_alive = Some(head.keep_alive());
                messages.push(message);
            }
            Ok(ServerEvent::Body(data)) => last(messages).body.extend(data),
            Ok(ServerEvent::Trailers(trailers)) => last(messages).trailers = fields(trailers),
            Ok(ServerEvent::RequestEnd) => {
                last(messages).complete = true;
                let status = if last(messages).first == b"CONNECT" { 404 } else { 200 };
                conn.respond(&Response::new(status), &mut out).expect("a request may be answered");
                out.clear();
            }
            Ok(ServerEvent::NeedInput) => match feed(bytes, |bytes| conn.feed(bytes)) {
                Some(rest) => bytes = rest,
                None => conn.feed_eof(),
            },
            Ok(ServerEvent::Closed) => {
                let surplus = conn.remaining_input().len() + bytes.len();
                return End::Complete { surplus };
            }
            Ok(other) => panic!("http-net says {other:?}"),
            Err(error) => return refused(error),
        }
        // Trailers are reported on request, and reset with each connection only.
        conn.set_report_trailers(true);
    }
}

fn responses(case: &Case, messages: &mut Vec<Message>) -> End {
    let mut conn = ClientConn::with_limits(limits());
    conn.set_report_informational(true);
    conn.set_report_trailers(true);
    let mut out = Vec::new();
    for &asked in &case.asked {
        let request = match asked {
            Asked::Get => Request::get("/"),
            Asked::Head => Request::head("/"),
            Asked::Connect => Request::new("CONNECT", "example.com:443"),
            Asked::Upgrade => Request::get("/").upgrade("websocket"),
        };
        conn.send_request(&request.header("host", "example.com"), &mut out)
            .expect("a client may ask");
    }
    let mut bytes = &case.bytes[..];
    let mut answered = 0;
    loop {
        match conn.poll() {
            Ok(ClientEvent::Informational(head)) => {
                messages.push(Message { complete: true, ..response(&head) });
            }
            Ok(ClientEvent::Response(head)) => {
                let mut message = response(&head);
                message.keep_alive = Some(head.keep_alive());
                messages.push(message);
            }
            Ok(ClientEvent::Body(data)) => last(messages).body.extend(data),
            Ok(ClientEvent::Trailers(trailers)) => last(messages).trailers = fields(trailers),
            Ok(ClientEvent::ResponseEnd) => {
                last(messages).complete = true;
                answered += 1;
                if answered == case.asked.len() {
                    let surplus = conn.remaining_input().len() + bytes.len();
                    return End::Complete { surplus };
                }
            }
            Ok(ClientEvent::NeedInput) => match feed(bytes, |bytes| conn.feed(bytes)) {
                Some(rest) => bytes = rest,
                None => conn.feed_eof(),
            },
            Ok(ClientEvent::Upgraded) => {
                last(messages).complete = true;
                return End::Unknown;
            }
            Ok(ClientEvent::Closed) => {
                let surplus = conn.remaining_input().len() + bytes.len();
                return End::Complete { surplus };
            }
            Ok(other) => panic!("http-net says {other:?}"),
            Err(error) => return refused(error),
        }
    }
}

/// Feeds some of `bytes` and returns the rest, or `None` if there are none.
fn feed(bytes: &[u8], mut feed: impl FnMut(&[u8]) -> usize) -> Option<&[u8]> {
    let fed = (!bytes.is_empty()).then(|| feed(bytes))?;
    assert!(fed > 0, "http-net wants input and takes none");
    Some(&bytes[fed..])
}

fn limits() -> Limits {
    Limits::new()
        .with_max_start_line(1 << 17)
        .with_max_header_bytes(1 << 19)
        .with_max_headers(1000)
        .with_max_field_line(1 << 18)
        .with_max_body(u64::MAX)
        .with_max_interim(u16::MAX)
        .with_pipeline_depth(8)
}

fn refused(error: HttpError) -> End {
    match error {
        HttpError::UnexpectedEof => End::Incomplete,
        other => End::Refused { why: format!("{other:?}"), at: None },
    }
}

fn last(messages: &mut [Message]) -> &mut Message {
    messages.last_mut().expect("a head comes first")
}

fn fields(headers: Headers<'_>) -> Vec<Field> {
    headers.map(|(name, value)| Field(name.into(), value.into())).collect()
}

fn response(head: &http_net::ResponseHead<'_>) -> Message {
    let status = head.status().to_string();
    message(status.as_bytes(), head.reason().as_bytes(), head.version(), head.headers())
}

fn message(first: &[u8], second: &[u8], version: Version, headers: Headers<'_>) -> Message {
    Message {
        first: first.into(),
        second: second.into(),
        minor: u8::from(version == Version::Http11),
        fields: fields(headers),
        body: Vec::new(),
        trailers: Vec::new(),
        keep_alive: None,
        complete: false,
    }
}
