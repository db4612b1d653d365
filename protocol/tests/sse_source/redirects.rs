//! Redirects (RFC 9110, 15.4; Fetch, HTTP-redirect fetch).

use crate::support::*;

#[test]
fn a_redirect_is_followed_at_once_and_remembered_only_if_it_is_permanent() {
    for (status, next) in [(301, "/b"), (308, "/b"), (302, "/a"), (303, "/a"), (307, "/a")] {
        let mut net = Net::new(request("http://h/a"), SourceConfig::default());
        assert!(net.connect().starts_with("GET /a "));
        assert_eq!(net.feed(&moved(status, "http://i/b")), [""; 0]);
        assert_eq!(net.source.target().host(), "i");
        assert!(net.connect().starts_with("GET /b HTTP/1.1\r\nHost: i\r\n"));
        assert_eq!(net.feed(OPEN), ["open 200"]);
        net.hang_up();
        net.sleep();
        assert!(net.connect().starts_with(&format!("GET {next} ")), "{status}");
    }
}

#[test]
fn what_is_permanent_behind_a_temporary_redirect_is_not_remembered() {
    let mut net = Net::new(request("http://h/a"), SourceConfig::default());
    for (status, location) in [(301, "/b"), (302, "/c"), (301, "/d")] {
        net.connect();
        net.feed(&moved(status, location));
    }
    assert!(net.connect().starts_with("GET /d "));
    net.hang_up();
    net.sleep();
    assert!(net.connect().starts_with("GET /b "));
}

#[test]
fn each_attempt_is_redirected_anew() {
    let mut net = Net::new(request("http://h/a"), SourceConfig::default());
    net.connect();
    net.feed(&moved(302, "/b"));
    net.connect();
    net.hang_up();
    net.sleep();
    // The redirect before was temporary, this one isn't.
    assert!(net.connect().starts_with("GET /a "));
    net.feed(&moved(301, "/c"));
    net.connect();
    net.hang_up();
    net.sleep();
    assert!(net.connect().starts_with("GET /c "));
}

#[test]
fn redirects_end_somewhere() {
    let mut net = Net::simple();
    for attempt in 0..2 {
        for _ in 0..20 {
            net.connect();
            assert_eq!(net.feed(&moved(302, "/again")), [""; 0]);
        }
        net.connect();
        if attempt == 0 {
            net.hang_up();
            net.sleep();
        }
    }
    let expected = ["refused 302", "error Redirect(TooMany)", "closed Failed(Redirect(TooMany))"];
    assert_eq!(net.feed(&moved(302, "/again")), expected);
    net.assert_over();

    let expected = ["refused 302", "error Redirect(Location)", "closed Failed(Redirect(Location))"];
    refused("HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n", &expected);
    refused(&moved(302, "ftp://h/"), &expected);
    let mut net = Net::new(request("https://h/"), SourceConfig::default());
    net.connect();
    assert_eq!(net.feed(&moved(302, "http://h/"))[1], "error Redirect(Insecure)");
}

#[test]
fn credentials_do_not_follow_to_another_origin() {
    let request =
        request("http://h/a").field("Authorization", "x").field("Cookie", "y").field("Z", "z");
    let mut net = Net::new(request, SourceConfig::default());
    net.connect();
    net.feed(&moved(302, "/b"));
    let sent = net.connect();
    assert!(sent.contains("Authorization: x") && sent.contains("Cookie: y"));
    net.feed(&moved(302, "http://h:81/c"));
    let sent = net.connect();
    assert!(!sent.contains("Authorization") && !sent.contains("Cookie") && sent.contains("Z: z"));
    // Nor further, nor back, since it was the other origin that sent us.
    for location in ["/d", "http://h/e", "/f"] {
        net.feed(&moved(302, location));
        assert!(!net.connect().contains("Authorization"));
    }
    net.hang_up();
    net.sleep();
    assert!(net.connect().contains("Authorization"));
}

#[test]
fn a_redirected_post_becomes_a_get_unless_the_status_forbids_it() {
    for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
    {
        let request = request("http://h/a").post("{}").field("Content-Type", "application/json");
        let mut net = Net::new(request, SourceConfig::default());
        net.connect();
        net.feed(&moved(status, "/b"));
        let sent = net.connect();
        assert!(sent.starts_with(&format!("{method} /b ")), "{sent}");
        assert_eq!(sent.contains("Content-Type"), method == "POST");
        assert_eq!(sent.contains("{}"), method == "POST");
    }
}

/// Fetch, HTTP-redirect fetch, step 12: 301 and 302 make a GET of a POST, 303 of anything but GET and
/// HEAD. RFC 9110, 15.4.8 and 15.4.9: 307 and 308 change nothing.
#[test]
fn a_redirect_changes_the_method_where_fetch_says_so() {
    for (status, changed) in [
        (301, &["POST"][..]),
        (302, &["POST"]),
        (303, &["POST", "PUT", "DELETE", "QUERY"]),
        (307, &[]),
        (308, &[]),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "QUERY"] {
            let request = request("http://h/").method(method).body("{}").field("content-type", "x");
            let mut net = Net::new(request, plain());
            assert!(net.connect().starts_with(&format!("{method} / ")));
            net.feed(&moved(status, "/b"));
            let sent = net.connect();
            let is_changed = changed.contains(&method);
            let expected = if is_changed { "GET" } else { method };
            assert!(sent.starts_with(&format!("{expected} /b ")), "{status} {method}: {sent}");
            assert_eq!(sent.ends_with("\r\n\r\n{}"), !is_changed, "{status} {method}: {sent}");
            assert_eq!(sent.contains("content-type: x"), !is_changed, "{status} {method}: {sent}");
            assert_eq!(sent.contains("Content-Length"), !is_changed, "{status} {method}: {sent}");
        }
    }
}

/// The next attempt asks as the first one did, or as a permanent redirect has changed it.
#[test]
fn a_method_that_a_permanent_redirect_has_changed_stays_changed() {
    for (status, next) in [
        (301, "GET /b "),
        (302, "POST /a "),
        (303, "POST /a "),
        (307, "POST /a "),
        (308, "POST /b "),
    ] {
        let mut net = Net::new(request("http://h/a").post("{}"), plain());
        net.connect();
        net.feed(&moved(status, "/b"));
        net.stream("data: a\n\n");
        let sent = net.connect();
        assert!(sent.starts_with(next), "{status}: {sent}");
    }
}

/// 9.2.6: the origin of an event is that of the URL behind all redirects.
#[test]
fn the_origin_is_that_of_the_final_url() {
    for (location, origin) in [
        ("/b", "http://h"),
        ("http://i/", "http://i"),
        ("http://I:80/", "http://i"),
        ("http://i:8080/x?y", "http://i:8080"),
        ("https://i/", "https://i"),
        ("https://i:80/", "https://i:80"),
        ("http://[::1]:81/", "http://[::1]:81"),
        ("http://user:secret@i/", "http://i"),
    ] {
        let mut net = Net::new(request("http://h/a"), plain());
        assert_eq!(net.source.origin(), "http://h");
        net.connect();
        net.feed(&moved(302, location));
        net.connect();
        net.feed(OPEN);
        assert_eq!(net.source.origin(), origin);
        // The DOM's url is the one that was asked for.
        assert_eq!(net.source.url().to_string(), "http://h/a");
        net.hang_up();
        assert_eq!(net.source.origin(), "http://h");
    }
    let net = Net::new(request("ws://h:1/"), plain());
    assert_eq!(net.source.origin(), "http://h:1");
}
