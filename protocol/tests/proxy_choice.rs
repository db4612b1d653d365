//! Which proxy: its URL, and the variables of the environment.

use std::collections::BTreeMap;
use tidewire::proxy::{Destination, Environment, NoProxy, Proxy, ProxyError, Scheme};
use tidewire::url::{Url, UrlError};

#[test]
fn the_url_of_a_proxy_is_scheme_host_and_port() {
    for (url, scheme, host, port) in [
        ("http://h", Scheme::Http, "h", 80),
        ("HTTP://H:3128/", Scheme::Http, "h", 3128),
        ("https://h", Scheme::Https, "h", 443),
        ("socks5://h", Scheme::Socks5, "h", 1080),
        ("socks5h://[::1]:9050", Scheme::Socks5h, "::1", 9050),
        ("h:8080", Scheme::Http, "h", 8080),
        ("user:pass@127.0.0.1", Scheme::Http, "127.0.0.1", 80),
    ] {
        let proxy = Proxy::parse(url).unwrap();
        assert_eq!((proxy.scheme(), proxy.host(), proxy.port()), (scheme, host, port), "{url}");
    }
}

#[test]
fn what_is_no_proxy_is_refused_with_its_reason() {
    for (url, why) in [
        ("socks://h", ProxyError::Scheme),
        ("socks4://h", ProxyError::Scheme),
        ("ws://h", ProxyError::Scheme),
        ("://h", ProxyError::Scheme),
        ("", ProxyError::Url(UrlError::Host)),
        ("http://", ProxyError::Url(UrlError::Host)),
        ("http://h:0", ProxyError::Url(UrlError::Port)),
        ("http://h:p", ProxyError::Url(UrlError::Port)),
        ("http://u%4@h", ProxyError::Url(UrlError::Userinfo)),
        ("http://h/proxy.pac", ProxyError::Path),
        ("http://h?a", ProxyError::Path),
        ("http://h/#", ProxyError::Path),
        ("http://a%3Ab:c@h", ProxyError::Credentials),
        ("http://a:%0D@h", ProxyError::Credentials),
        ("socks5://:p@h", ProxyError::Credentials),
    ] {
        assert_eq!(Proxy::parse(url), Err(why), "{url}");
    }
    let long = "x".repeat(256);
    assert!(Proxy::parse(&format!("socks5://{}:p@h", &long[1..])).is_ok());
    for userinfo in [format!("{long}:p"), format!("u:{long}")] {
        let proxy = Proxy::parse(&format!("socks5h://{userinfo}@h"));
        assert_eq!(proxy, Err(ProxyError::Credentials));
    }
    // RFC 1929 counts bytes and knows no separator: what Basic cannot carry, it can.
    assert!(Proxy::parse("socks5h://a%3Ab:%0D@h").is_ok());
}

#[test]
fn only_socks5_without_h_wants_an_address() {
    let wants = |url: &str| Proxy::parse(url).unwrap().wants_address();
    assert!(wants("socks5://h"));
    assert!(!wants("socks5h://h") && !wants("http://h") && !wants("https://h"));
    assert!(Proxy::parse("https://h").unwrap().is_secure());
    assert!(!Proxy::parse("socks5://h").unwrap().is_secure());
}

#[test]
fn user_and_password_are_never_shown() {
    let proxy = Proxy::parse("socks5://user:secret@[::1]").unwrap();
    let proxy = proxy.field("Proxy-Authorization", "Bearer secret").unwrap();
    assert_eq!(proxy.to_string(), "socks5://***@[::1]:1080");
    assert_eq!(format!("{proxy:?}"), "Proxy(socks5://***@[::1]:1080)");
}

#[test]
fn a_field_that_the_request_writes_itself_is_refused() {
    let field = |name: &str, value: &str| Proxy::parse("http://h").unwrap().field(name, value);
    for name in ["host", "Connection", "UPGRADE", "Content-Length", "Transfer-Encoding"] {
        assert_eq!(field(name, "x"), Err(ProxyError::Reserved), "{name}");
    }
    assert_eq!(field("a b", "x"), Err(ProxyError::FieldName));
    assert_eq!(field("", "x"), Err(ProxyError::FieldName));
    assert_eq!(field("a", "x\r\nb: c"), Err(ProxyError::FieldValue));
    assert!(field("a", "").is_ok());
}

#[test]
fn a_destination_is_a_name_or_an_address() {
    let url = Url::parse("wss://Example.com/").unwrap();
    assert_eq!(Destination::of(&url), Destination::Name("example.com", 443));
    let url = Url::parse("ws://[::1]:8080/").unwrap();
    assert_eq!(Destination::of(&url), Destination::Address("[::1]:8080".parse().unwrap()));
}

#[test]
fn hosts_without_a_proxy() {
    for (list, host, port, expected) in [
        // A name, and those below it: dot by dot, and without case.
        ("example.com", "example.com", 80, true),
        ("example.com", "a.b.example.com", 80, true),
        ("example.com", "notexample.com", 80, false),
        ("example.com", "example.com.evil", 80, false),
        ("example.com", "com", 80, false),
        ("Example.COM", "WWW.example.com", 80, true),
        ("example.com.", "example.com", 80, true),
        ("example.com", "example.com.", 80, true),
        // curl: a dot in front makes no difference.
        (".example.com", "example.com", 80, true),
        (".example.com", "a.example.com", 80, true),
        ("*.example.com", "a.example.com", 80, true),
        ("*.example.com", "notexample.com", 80, false),
        // Lists.
        ("a,b", "b", 80, true),
        (" a , b ", "b", 80, true),
        ("a b\tc", "b", 80, true),
        ("", "a", 80, false),
        (",, ,.", "a", 80, false),
        ("*", "anything", 80, true),
        ("*", "::1", 80, true),
        ("a,*", "b", 80, true),
        // Ports.
        ("a:80", "a", 80, true),
        ("a:80", "a", 443, false),
        ("192.0.2.1:80", "192.0.2.1", 443, false),
        ("[::1]:80", "::1", 80, true),
        ("[::1]:80", "::1", 443, false),
        ("*:80", "a", 80, true),
        ("*:80", "a", 443, false),
        ("a:x", "a", 80, false),
        // Addresses are compared as addresses, and no name is one.
        ("::1", "0:0:0:0:0:0:0:1", 80, true),
        ("[::1]", "::1", 80, true),
        ("::1", "[::1]", 80, true),
        ("127.0.0.1", "127.0.0.1", 80, true),
        ("127.0.0.1", "::ffff:127.0.0.1", 80, true),
        ("::ffff:127.0.0.1", "127.0.0.1", 80, true),
        ("0.0.1", "127.0.0.1", 80, false),
        ("1", "127.0.0.1", 80, false),
        ("127.0.0.1", "a.127.0.0.1", 80, false),
        // Prefixes.
        ("10.0.0.0/8", "10.255.0.1", 80, true),
        ("10.0.0.0/8", "11.0.0.1", 80, false),
        ("10.0.0.1/32", "10.0.0.1", 80, true),
        ("10.0.0.1/32", "10.0.0.0", 80, false),
        ("0.0.0.0/0", "192.0.2.1", 80, true),
        ("0.0.0.0/0", "::1", 80, false),
        ("fe80::/10", "febf::1", 80, true),
        ("fe80::/10", "fec0::1", 80, false),
        ("::/0", "2001:db8::1", 80, true),
        ("10.0.0.0/33", "10.0.0.0", 80, false),
        ("10.0.0.0/", "10.0.0.0", 80, false),
        ("10.0.0.0/8", "a10.0.0.0", 80, false),
    ] {
        assert_eq!(
            NoProxy::parse(list).matches(host, port),
            expected,
            "{list:?} and {host}:{port}"
        );
    }
}

/// The proxy's port for `url`, or the variable that names none.
fn chosen(variables: &[(&str, &str)], url: &str) -> Result<Option<u16>, &'static str> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let environment = Environment::new(|name| variables.get(name).map(ToString::to_string));
    let url = Url::parse(url).unwrap();
    match environment.proxy_for(&url) {
        Ok(proxy) => Ok(proxy.map(Proxy::port)),
        Err(error) => Err(error.variable),
    }
}

#[test]
fn the_scheme_picks_the_variable() {
    let both = [("http_proxy", "h:1"), ("https_proxy", "h:2")];
    for (url, port) in [("http://x", 1), ("ws://x", 1), ("https://x", 2), ("wss://x", 2)] {
        assert_eq!(chosen(&both, url), Ok(Some(port)), "{url}");
        assert_eq!(chosen(&[("all_proxy", "socks5://h:3")], url), Ok(Some(3)));
        assert_eq!(chosen(&[("ftp_proxy", "h:4")], url), Ok(None));
    }
    assert_eq!(chosen(&[both[0], ("all_proxy", "h:3")], "wss://x"), Ok(Some(3)));
    assert_eq!(chosen(&[both[0], ("all_proxy", "h:3")], "ws://x"), Ok(Some(1)));
}

#[test]
fn lower_case_wins() {
    for (lower, upper) in [("https_proxy", "HTTPS_PROXY"), ("all_proxy", "ALL_PROXY")] {
        assert_eq!(chosen(&[(upper, "h:1")], "wss://x"), Ok(Some(1)), "{upper}");
        assert_eq!(chosen(&[(upper, "h:1"), (lower, "h:2")], "wss://x"), Ok(Some(2)));
        // curl: one that is empty is not set.
        assert_eq!(chosen(&[(upper, "h:1"), (lower, "")], "wss://x"), Ok(Some(1)));
    }
    let proxy = ("https_proxy", "h:1");
    assert_eq!(chosen(&[proxy, ("NO_PROXY", "x")], "wss://x"), Ok(None));
    assert_eq!(chosen(&[proxy, ("NO_PROXY", "x"), ("no_proxy", "y")], "wss://x"), Ok(Some(1)));
}

/// httpoxy: in a CGI script, `HTTP_PROXY` is what the client sent as `Proxy`.
#[test]
fn the_upper_case_of_http_proxy_is_not_read() {
    assert_eq!(chosen(&[("HTTP_PROXY", "evil:1")], "http://x"), Ok(None));
    assert_eq!(chosen(&[("HTTP_PROXY", "evil:1"), ("ALL_PROXY", "h:2")], "ws://x"), Ok(Some(2)));
}

/// Desktops set `all_proxy` to what nobody understands, beside others that count.
#[test]
fn a_variable_is_judged_where_it_is_needed() {
    let variables =
        [("all_proxy", "socks://h"), ("https_proxy", " http://h:1/ "), ("no_proxy", "local")];
    assert_eq!(chosen(&variables, "wss://x"), Ok(Some(1)));
    assert_eq!(chosen(&variables, "ws://local"), Ok(None));
    assert_eq!(chosen(&variables, "ws://x"), Err("all_proxy"));
    assert_eq!(chosen(&[("HTTPS_PROXY", "h:x")], "wss://x"), Err("HTTPS_PROXY"));
}

#[test]
fn an_error_names_the_variable_and_the_reason() {
    let environment = Environment::new(|name| (name == "http_proxy").then(|| "socks4://h".into()));
    let error = environment.proxy_for(&Url::parse("ws://x").unwrap()).unwrap_err();
    assert_eq!((error.variable, error.why), ("http_proxy", ProxyError::Scheme));
    assert!(error.to_string().starts_with("http_proxy: the scheme of the proxy"), "{error}");
}
