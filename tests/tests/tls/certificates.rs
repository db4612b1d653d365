//! Whose certificates are taken, and what is said of those that are not.

use super::*;
use tidewire_tests::net::Smol;

const CERTIFICATE_REQUIRED: TlsAlert = TlsAlert(116);
const UNKNOWN_CA: TlsAlert = TlsAlert(48);

// RFC 9110, 4.3.4: the certificate has to lead to an issuer who is trusted.
async fn an_unknown_issuer_is_refused_and_both_sides_know_why<R: SendRuntime>(runtime: R) {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (tls, failures) = told_failures(theirs.server(LOCAL));
    let (address, _server) = serve(&runtime, tls).await;
    let why = refusal(&runtime, ours.client(), "localhost", address).await;
    assert_eq!(why, TlsError::UnknownIssuer);
    let told = on_thread(move || failures.recv_timeout(PATIENCE).unwrap()).await;
    assert_eq!(told, Ok(TlsError::Alert(UNKNOWN_CA)));
    // Nor does the platform trust it.
    let why = refusal(&runtime, TlsConfig::new(), "localhost", address).await;
    assert!(matches!(why, TlsError::UnknownIssuer | TlsError::NoPlatformRoots(_)), "{why:?}");
    // Those who say so take it.
    let both = ours.client().also_trust(theirs.der()).unwrap();
    assert!(get(&runtime, both, "localhost", address).await.is_ok());
    let beside = TlsConfig::new().also_trust(theirs.pem()).unwrap();
    assert!(get(&runtime, beside, "localhost", address).await.is_ok());
    let any = TlsConfig::new().dangerous_no_verification();
    assert!(get(&runtime, any, "127.0.0.1", address).await.is_ok());
}

// RFC 5280, 4.1.2.5.
async fn a_certificate_is_taken_on_its_days_only<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let valid = |from: i32, until: i32| {
        move |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        }
    };
    let expired = authority.issue_with(LOCAL, valid(2000, 2001)).server();
    let (address, _expired) = serve(&runtime, expired).await;
    let why = refusal(&runtime, authority.client(), "localhost", address).await;
    assert!(matches!(why, TlsError::Expired { at: Some(_) }), "{why:?}");
    assert_eq!(why.to_string(), "the certificate expired on Mon, 01 Jan 2001 00:00:00 GMT");

    let early = authority.issue_with(LOCAL, valid(3000, 3001)).server();
    let (address, _early) = serve(&runtime, early).await;
    let why = refusal(&runtime, authority.client(), "localhost", address).await;
    assert!(matches!(why, TlsError::NotYetValid { from: Some(_) }), "{why:?}");
    assert!(why.to_string().ends_with("on Wed, 01 Jan 3000 00:00:00 GMT"), "{why}");
}

// RFC 9110, 4.3.4: the name, or the address, must be one of the certificate's.
async fn a_certificate_is_taken_for_its_names_only<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let (address, _server) =
        serve(&runtime, authority.server(&["example.org", "*.example.org"])).await;
    for host in ["localhost", "127.0.0.1"] {
        let why = refusal(&runtime, authority.client(), host, address).await;
        let TlsError::NameMismatch { expected, presented } = &why else { panic!("{why:?}") };
        assert_eq!(expected, host);
        assert_eq!(presented.len(), 2, "{presented:?}");
        assert!(why.to_string().contains("example.org"), "{why}");
    }
    for name in ["example.org", "www.example.org", "www.example.org."] {
        let tls = authority.client().server_name(name).unwrap();
        let told = get(&runtime, tls.clone(), "localhost", address).await.unwrap();
        let bare = name.trim_end_matches('.');
        assert_eq!(told, format!(r#"0x0304 Some("http/1.1") Some("{bare}") 0"#));
        let told = get(&runtime, tls.sni(false), "localhost", address).await.unwrap();
        assert_eq!(told, r#"0x0304 Some("http/1.1") None 0"#);
    }
    let tls = authority.client().server_name("a.www.example.org").unwrap();
    let why = refusal(&runtime, tls, "localhost", address).await;
    assert!(matches!(why, TlsError::NameMismatch { .. }), "{why:?}");
    let error = authority.client().server_name("no name").unwrap_err();
    assert_eq!(error, TlsError::BadName("no name".into()));
}

// RFC 5280, 5.
async fn a_certificate_that_was_revoked_is_refused<R: SendRuntime>(runtime: R) {
    let authority = Authority::new("ours");
    let numbered = |number: u64| {
        move |params: &mut CertificateParams| {
            params.serial_number = Some(SerialNumber::from(number));
        }
    };
    let (revoked, other) =
        (authority.issue_with(LOCAL, numbered(7)), authority.issue_with(LOCAL, numbered(8)));
    let tls = authority.client().revoked(authority.revoke(7)).unwrap();
    let (address, _revoked) = serve(&runtime, revoked.server()).await;
    let why = refusal(&runtime, tls.clone(), "localhost", address).await;
    assert_eq!(why, TlsError::Revoked);
    let (address, _other) = serve(&runtime, other.server()).await;
    assert!(get(&runtime, tls.clone(), "localhost", address).await.is_ok());

    // Clients too.
    let (server, failures) = told_failures(authority.server(LOCAL));
    let server = server
        .require_client_certificate(authority.pem())
        .and_then(|server| server.revoked(authority.revoke(7)))
        .unwrap();
    let (address, _server) = serve(&runtime, server).await;
    let with = |it: &Identity| authority.client().client_certificate(&it.chain, &it.key).unwrap();
    assert!(get(&runtime, with(&other), "localhost", address).await.is_ok());
    let error = get(&runtime, with(&revoked), "localhost", address).await.unwrap_err();
    assert_eq!(error.tls(), Some(&TlsError::ClientCertificateRefused(TlsAlert(44))), "{error:?}");
    let told = on_thread(move || failures.recv_timeout(PATIENCE).unwrap()).await;
    assert_eq!(told, Ok(TlsError::Revoked));
}

// RFC 8446, 4.3.2 and 4.4.2.4. With TLS 1.3 the client takes its handshake for done when the server has
// yet to look at its certificate: the refusal comes as the answer to the first bytes.
async fn a_client_shows_its_certificate_to_who_asks_for_it<R: SendRuntime>(runtime: R) {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (known, stranger) = (ours.issue(&["client"]), theirs.issue(&["client"]));
    let with = |it: &Identity| ours.client().client_certificate(&it.chain, &it.key).unwrap();

    let (server, failures) = told_failures(ours.server(LOCAL));
    let server = server.require_client_certificate(ours.pem()).unwrap();
    let (address, _server) = serve(&runtime, server).await;
    let told = get(&runtime, with(&known), "localhost", address).await.unwrap();
    assert!(told.ends_with(" 1"), "{told}");

    let refused = [(ours.client(), CERTIFICATE_REQUIRED), (with(&stranger), UNKNOWN_CA)];
    let request = Request::new(&format!("wss://{address}/ws")).unwrap();
    for (tls, alert) in refused {
        let error = get(&runtime, tls.clone(), "localhost", address).await.unwrap_err();
        let why = TlsError::ClientCertificateRefused(alert);
        assert_eq!(error.tls(), Some(&why), "{error:?}");
        let connector = Connector::new(runtime.clone()).tls(tls);
        let error = WebSocket::connect(connector, &request, Config::default()).await.unwrap_err();
        assert_eq!(error.tls(), Some(&why), "{error:?}");
    }
    let told = on_thread(move || {
        (0..4).map(|_| failures.recv_timeout(PATIENCE).unwrap()).collect::<Vec<_>>()
    });
    use TlsError::{NoClientCertificate, UnknownIssuer};
    let both =
        [Ok(NoClientCertificate), Ok(NoClientCertificate), Ok(UnknownIssuer), Ok(UnknownIssuer)];
    assert_eq!(told.await, both);

    // Where it may have one, it need not; a stranger's is refused all the same.
    let server = ours.server(LOCAL).allow_client_certificate(ours.pem()).unwrap();
    let (address, _server) = serve(&runtime, server).await;
    for (tls, certificates) in [(ours.client(), " 0"), (with(&known), " 1")] {
        let told = get(&runtime, tls, "localhost", address).await.unwrap();
        assert!(told.ends_with(certificates), "{told}");
    }
    let error = get(&runtime, with(&stranger), "localhost", address).await.unwrap_err();
    let why = TlsError::ClientCertificateRefused(UNKNOWN_CA);
    assert_eq!(error.tls(), Some(&why), "{error:?}");
}

on_every_runtime!(
    an_unknown_issuer_is_refused_and_both_sides_know_why,
    a_certificate_is_taken_on_its_days_only,
    a_certificate_is_taken_for_its_names_only,
    a_certificate_that_was_revoked_is_refused,
    a_client_shows_its_certificate_to_who_asks_for_it,
);

/// What cannot be used is refused when the configuration is made, not by the first connection.
#[test]
fn certificates_and_keys_are_looked_at_at_once() {
    let authority = Authority::new("ours");
    let (one, other) = (authority.issue(LOCAL), authority.issue(LOCAL));
    let bad_key = |made: Result<TlsServerConfig, TlsError>| {
        assert!(matches!(made, Err(TlsError::BadKey(_))), "{made:?}");
    };
    bad_key(TlsServerConfig::new(&one.chain, &other.key));
    let words = TlsServerConfig::new(&one.chain, &other.key).unwrap_err().to_string();
    assert_eq!(words, "the private key cannot be used: it is not that of the certificate");
    bad_key(TlsServerConfig::new(&one.chain, &one.chain));
    bad_key(TlsServerConfig::new(&one.chain, b"no key"));
    bad_key(TlsServerConfig::new(&one.chain, b""));
    for chain in [&b""[..], b"no certificate", one.key.as_bytes()] {
        let made = TlsServerConfig::new(chain, &one.key);
        assert!(matches!(made, Err(TlsError::BadCertificates(_))), "{made:?}");
        // Not the key's fault, whatever that is.
        let made = TlsServerConfig::new(chain, b"no key");
        assert!(matches!(made, Err(TlsError::BadCertificates(_))), "{made:?}");
        let made = TlsConfig::new().trust_only(chain);
        assert!(matches!(made, Err(TlsError::BadCertificates(_))), "{made:?}");
    }
    // Both forms of both.
    let key = rustls_key(&one.key);
    assert!(TlsServerConfig::new(&one.der, &key).is_ok());
    assert!(TlsConfig::new().client_certificate(&one.chain, key).is_ok());
}

/// The key in DER.
fn rustls_key(pem: &str) -> Vec<u8> {
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_der().to_vec()
}

/// Set in the child of [`the_platforms_roots_are_trusted`]: the server that it asks.
const URL: &str = "TIDEWIRE_TEST_URL";

/// The platform's roots are trusted by default. Where they are is read from the environment, once for a
/// program: so this test starts itself anew with another one, and is then the client.
#[test]
fn the_platforms_roots_are_trusted() {
    if let Ok(url) = std::env::var(URL) {
        return ask_twice(&url);
    }
    let authority = Authority::new("the platform's");
    let roots = std::env::temp_dir().join(format!("tidewire-roots-{}.pem", std::process::id()));
    std::fs::write(&roots, authority.pem()).unwrap();
    let (address, _server) = ::smol::block_on(serve(&Smol, authority.server(LOCAL)));
    let child = || {
        let this = std::thread::current().name().unwrap().to_owned();
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &this, "--nocapture"])
            .env("SSL_CERT_FILE", &roots)
            .env_remove("SSL_CERT_DIR")
            .env(URL, format!("https://localhost:{}/", address.port()))
            .output()
            .unwrap()
    };
    let trusting = child();
    std::fs::remove_file(&roots).unwrap();
    assert!(trusting.status.success(), "{}", String::from_utf8_lossy(&trusting.stderr));
    assert!(String::from_utf8_lossy(&trusting.stdout).contains("got 0x0304"));
    // Without any, that is the reason.
    let without = child();
    let words = String::from_utf8_lossy(&without.stderr);
    assert!(!without.status.success() && words.contains("NoPlatformRoots"), "{words}");
}

/// Several clients at once wait for the same roots.
fn ask_twice(url: &str) {
    let got = ::smol::block_on(async {
        let (client, other) = (HttpClient::new(Smol), HttpClient::new(Smol));
        let (one, two) = ::smol::future::zip(client.get(url), other.get(url)).await;
        one?.text(1000).await?;
        two?.text(1000).await
    });
    println!("got {}", got.unwrap());
}
