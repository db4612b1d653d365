//! The fields that a server adds to its responses.

use tidewire::http::{
    BodyLength, DefaultFields, Misuse, NO_FIELDS, Server, ServerConfig, ServerEvent, Status,
};
use tidewire::{Instant, RecvBuf, SendBuf};

/// RFC 9110, 6.6.1 and 10.2.4: every final response, be it the machine's own, and none twice.
#[test]
fn default_fields_stand_in_every_final_response_that_lacks_them() {
    let now = Instant::EPOCH;
    let fields = DefaultFields::new([("Date", "then"), ("Server", "us")]).unwrap();
    let served = |requests: &str, given: &[(&str, &str)]| {
        let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
        let mut server = Server::new(ServerConfig::default(), now);
        server.set_default_fields(fields.clone());
        assert_eq!(rx.push(requests.as_bytes()), requests.len());
        while let Some(event) = server.poll_event(now, &mut rx, &mut tx) {
            if let ServerEvent::Request(head) = event {
                if head.method == "CONNECT" {
                    server.upgrade(NO_FIELDS, &mut tx).unwrap();
                } else {
                    server.inform(Status::EARLY_HINTS, NO_FIELDS, &mut tx).unwrap();
                    let given = given.iter().copied();
                    server.respond(Status::OK, given, BodyLength::EMPTY, now, &mut tx).unwrap();
                }
            }
        }
        String::from_utf8(tx.chunk().to_vec()).unwrap()
    };
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    for (given, lines) in [
        (&[][..], "Date: then\r\nServer: us\r\n"),
        (&[("SERVER", "me")][..], "SERVER: me\r\nDate: then\r\n"),
        (&[("Server", "me"), ("date", "now")][..], "Server: me\r\ndate: now\r\n"),
    ] {
        let answer = format!("{hints}HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
        assert_eq!(served(get, given), answer);
    }
    let refused = served("GET / HTTP/1.1\r\n\r\n", &[]);
    assert!(refused.starts_with("HTTP/1.1 400 Bad Request\r\nDate: then\r\nServer: us\r\n"));
    let tunnel = served("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", &[]);
    assert_eq!(tunnel, "HTTP/1.1 200 OK\r\nDate: then\r\nServer: us\r\n\r\n");
}

#[test]
fn default_fields_are_checked_once() {
    for (name, value, misuse) in [
        ("Ser ver", "x", Misuse::BadFieldName(1)),
        ("Server", "x\r\ny", Misuse::BadFieldValue(1)),
        ("Content-Length", "1", Misuse::FramingField(1)),
        ("connection", "close", Misuse::FramingField(1)),
        ("Upgrade", "x", Misuse::FramingField(1)),
    ] {
        assert_eq!(DefaultFields::new([("Date", "then"), (name, value)]), Err(misuse));
    }
}
