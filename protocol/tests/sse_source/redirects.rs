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
