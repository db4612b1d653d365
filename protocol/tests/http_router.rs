//! Which resource a request is for, and what it is told if there is none.

use proptest::prelude::*;
use tidewire::http::{Miss, RouteError, Router, Status};

fn router<'a>(routes: &[(&str, &'a str)]) -> Router<&'a str> {
    routes.iter().fold(Router::new(), |router, (method, pattern)| {
        router.route(method, pattern, *pattern).expect("a route")
    })
}

/// The pattern that is found for GET, and its parameters.
fn get<'r>(router: &'r Router<&str>, path: &str) -> Result<(&'r str, Vec<String>), Miss<'r>> {
    let found = router.find("GET", path)?;
    let params = found.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok((found.value, params))
}

#[test]
fn a_parameter_is_one_segment_and_a_rest_is_all_that_follows() {
    let router = router(&[("GET", "/a/{x}"), ("GET", "/a/{x}/b/{y}"), ("GET", "/f/{*r}")]);
    for (path, expected) in [
        ("/a/1", Ok(("/a/{x}", vec!["x=1"]))),
        ("/a/1/b/2", Ok(("/a/{x}/b/{y}", vec!["x=1", "y=2"]))),
        ("/f/", Ok(("/f/{*r}", vec!["r="]))),
        ("/f/1//2/", Ok(("/f/{*r}", vec!["r=1//2/"]))),
        // A segment is something.
        ("/a/", Err(Miss::NotFound)),
        ("/a//b/2", Err(Miss::NotFound)),
        // The slash before the rest must be there, one more behind it nowhere.
        ("/f", Err(Miss::NotFound)),
        ("/a/1/", Err(Miss::NotFound)),
        ("/a/1/b", Err(Miss::NotFound)),
        ("/A/1", Err(Miss::NotFound)),
        ("", Err(Miss::NotFound)),
        ("a/1", Err(Miss::NotFound)),
    ] {
        let expected = expected
            .map(|(pattern, params)| (pattern, params.into_iter().map(String::from).collect()));
        assert_eq!(get(&router, path), expected, "{path}");
    }
}

#[test]
fn escapes_are_decoded_behind_the_split_into_segments() {
    // RFC 3986, 2.4: components are taken apart before they are decoded; 6.2.2.2: `%61` is `a`.
    let router =
        router(&[("GET", "/a b/{x}"), ("GET", "/%C3%A4"), ("GET", "/a%2Fb"), ("GET", "/f/{*r}")]);
    for (path, pattern, params) in [
        ("/%61%20b/1%2f2", "/a b/{x}", vec!["x=1/2"]),
        ("/a%20b/..", "/a b/{x}", vec!["x=.."]),
        ("/a%20b/+%2B", "/a b/{x}", vec!["x=++"]),
        ("/%c3%a4", "/%C3%A4", vec![]),
        ("/a%2fb", "/a%2Fb", vec![]),
        ("/f/1%2F2/3", "/f/{*r}", vec!["r=1/2/3"]),
        ("/f/...", "/f/{*r}", vec!["r=..."]),
    ] {
        let params = params.into_iter().map(String::from).collect();
        assert_eq!(get(&router, path), Ok((pattern, params)), "{path}");
    }
    assert_eq!(get(&router, "/a/b"), Err(Miss::NotFound));
}

#[test]
fn a_path_that_cannot_be_understood_is_refused() {
    let router = router(&[("GET", "/{x}"), ("GET", "/f/{*r}")]);
    for path in [
        "/%",
        "/%4",
        "/%zz",
        "/%+1",
        "/a%C3",
        "/%ff",
        "/f/%2",
        "/nowhere/%2",
        // A rest without dot segments, however they are written.
        "/f/..",
        "/f/../x",
        "/f/x/../../y",
        "/f/.",
        "/f/%2e%2E/x",
        "/f/x%2f..%2fy",
        "/f/..\\x",
        "/f/..%5cx",
    ] {
        assert_eq!(get(&router, path), Err(Miss::BadPath), "{path}");
    }
    assert_eq!(Miss::BadPath.status(), Status::BAD_REQUEST);
}

#[test]
fn the_more_exact_pattern_wins_whatever_the_order() {
    let mut routes = [
        ("GET", "/{*r}"),
        ("GET", "/{x}"),
        ("GET", "/a"),
        ("GET", "/a/{x}/c"),
        ("GET", "/a/b/{x}"),
        ("GET", "/{x}/b/c"),
    ];
    for _ in 0..routes.len() {
        routes.rotate_left(1);
        let router = router(&routes);
        for (path, pattern) in [
            ("/a", "/a"),
            ("/b", "/{x}"),
            ("/", "/{*r}"),
            ("/a/b/c", "/a/b/{x}"),
            ("/a/d/c", "/a/{x}/c"),
            ("/d/b/c", "/{x}/b/c"),
            // Literals lead nowhere here, and are left again.
            ("/a/b", "/{*r}"),
            ("/a/b/c/d", "/{*r}"),
        ] {
            assert_eq!(get(&router, path).unwrap().0, pattern, "{path}");
        }
    }
}

#[test]
fn a_method_that_the_resource_does_not_take_is_told_with_those_that_it_does() {
    // RFC 9110, 15.5.6 and 10.2.1.
    let router =
        router(&[("GET", "/a"), ("PUT", "/a"), ("POST", "/{x}"), ("REPORT", "/r"), ("HEAD", "/h")]);
    for (method, path, allow) in [
        ("DELETE", "/a", "GET, HEAD, OPTIONS, PUT"),
        // Of the same path the more exact pattern is the resource.
        ("POST", "/a", "GET, HEAD, OPTIONS, PUT"),
        ("GET", "/b", "OPTIONS, POST"),
        ("HEAD", "/b", "OPTIONS, POST"),
        ("GET", "/r", "OPTIONS, REPORT"),
        ("GET", "/h", "HEAD, OPTIONS"),
        ("REPORT", "/a", "GET, HEAD, OPTIONS, PUT"),
    ] {
        let miss = router.find(method, path).unwrap_err();
        assert_eq!(miss, Miss::MethodNotAllowed { allow }, "{method} {path}");
        assert_eq!((miss.status(), miss.allow()), (Status::METHOD_NOT_ALLOWED, Some(allow)));
    }
    assert_eq!(Miss::NotFound.status(), Status::NOT_FOUND);
    assert_eq!(router.find("DELETE", "/a/b"), Err(Miss::NotFound));
}

#[test]
fn a_method_that_nobody_has_heard_of_is_not_implemented() {
    // RFC 9110, 9.1: SHOULD 501; methods are case-sensitive.
    let router = router(&[("GET", "/a"), ("REPORT", "/r")]);
    for path in ["/a", "/r", "/nowhere"] {
        for method in ["get", "BREW"] {
            let miss = router.find(method, path).unwrap_err();
            assert_eq!(miss, Miss::NotImplemented, "{method} {path}");
            assert_eq!(miss.status(), Status::NOT_IMPLEMENTED);
        }
    }
    // One that some resource takes is known.
    assert_eq!(router.find("REPORT", "/nowhere"), Err(Miss::NotFound));
}

#[test]
fn head_is_answered_like_get_unless_it_has_a_route() {
    // RFC 9110, 9.3.2.
    let routes = Router::new().route("GET", "/a", 1).unwrap();
    assert_eq!(routes.find("HEAD", "/a").unwrap().value, &1);
    let routes = routes.route("HEAD", "/a", 2).unwrap();
    assert_eq!(routes.find("HEAD", "/a").unwrap().value, &2);
    assert_eq!(routes.find("GET", "/a").unwrap().value, &1);
}

#[test]
fn options_tells_what_there_is() {
    // RFC 9110, 9.3.7.
    let routes = router(&[("GET", "/a"), ("PUT", "/b"), ("OPTIONS", "/c")]);
    for (path, allow) in
        [("/a", "GET, HEAD, OPTIONS"), ("/b", "OPTIONS, PUT"), ("*", "GET, HEAD, OPTIONS, PUT")]
    {
        let miss = routes.find("OPTIONS", path).unwrap_err();
        assert_eq!(miss, Miss::Options { allow }, "{path}");
        assert_eq!((miss.status(), miss.allow()), (Status::NO_CONTENT, Some(allow)));
    }
    assert_eq!(*routes.find("OPTIONS", "/c").unwrap().value, "/c");
    assert_eq!(routes.find("OPTIONS", "/d"), Err(Miss::NotFound));
}

#[test]
fn what_is_no_route_is_told() {
    let add = |method: &str, pattern: &str| {
        router(&[("GET", "/a/{x}"), ("GET", "/%61"), ("GET", "/f/{*r}")])
            .route(method, pattern, "")
            .map(drop)
    };
    for pattern in ["", "a", "*", "/?", "/a#", "/%", "/%zz", "/%ff"] {
        assert_eq!(add("GET", pattern), Err(RouteError::NoPath(pattern.into())), "{pattern}");
    }
    for pattern in [
        "/{", "/}", "/a{x}", "/{x}a", "/{}", "/{*}", "/{x}/{x}", "/{*r}/a", "/{*r}/", "/{{x}}",
        "/{a/b}",
    ] {
        assert_eq!(add("GET", pattern), Err(RouteError::BadParameter(pattern.into())), "{pattern}");
    }
    for method in ["", "G T", "GÉT"] {
        assert_eq!(add(method, "/"), Err(RouteError::BadMethod(method.into())), "{method}");
    }
    for pattern in ["/a/{y}", "/a", "/f/{*q}"] {
        let taken = RouteError::Taken { method: "GET".into(), pattern: pattern.into() };
        assert_eq!(add("GET", pattern), Err(taken), "{pattern}");
        assert_eq!(add("PUT", pattern), Ok(()), "{pattern}");
    }
}

/// Whether the pattern fits, without a tree. Segments of the path are plain.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern[1..].split('/'), path[1..].split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("{*r}"), Some(_)) => return true,
            (Some("{x}" | "{y}"), Some(segment)) if !segment.is_empty() => {}
            (Some(literal), Some(segment)) if literal == segment => {}
            _ => return false,
        }
    }
}

/// How exact each of its segments is: the smaller, the more.
fn exactness(pattern: &str) -> Vec<u8> {
    let of = |segment: &str| {
        if segment.starts_with("{*") { 2 } else { u8::from(segment.starts_with('{')) }
    };
    pattern[1..].split('/').map(of).collect()
}

proptest! {
    /// A tree finds what a look at each of the patterns does.
    #[test]
    fn the_most_exact_of_all_that_fit_is_found(
        patterns in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "", "{}"]), 1..5)
                .prop_flat_map(|segments| (Just(segments), any::<bool>())),
            0..12,
        ),
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", ""]), 1..6),
    ) {
        let mut router = Router::new();
        let mut added = Vec::new();
        for (segments, rest) in patterns {
            // At most two parameters, each of another name.
            let mut names = ["{x}", "{y}"].into_iter();
            let mut pattern = String::new();
            for segment in segments {
                let segment = if segment == "{}" { names.next().unwrap_or("a") } else { segment };
                pattern += &format!("/{segment}");
            }
            if rest {
                pattern += "/{*r}";
            }
            if let Ok(more) = router.clone().route("GET", &pattern, pattern.clone()) {
                router = more;
                added.push(pattern);
            }
        }
        let path = format!("/{}", path.join("/"));
        let best = added.iter().filter(|pattern| fits(pattern, &path)).min_by_key(|it| exactness(it));
        let found = router.find("GET", &path);
        match best {
            Some(best) => prop_assert_eq!(found.unwrap().value, best),
            None => prop_assert_eq!(found, Err(Miss::NotFound)),
        }
    }

    /// Whatever a client asks for, a decision comes back.
    #[test]
    fn no_path_is_too_strange(path in "[/a%.{}*2f\\\\]{0,30}|\\PC{0,20}") {
        let router = router(&[("GET", "/{x}/a"), ("GET", "/a/{*r}"), ("GET", "/a/{x}/a")]);
        if let Ok(found) = router.find("GET", &path) {
            for (name, value) in found.params.iter() {
                prop_assert!(name == "r" || !value.is_empty());
                let dots = value.split(['/', '\\']).any(|it| it == "." || it == "..");
                prop_assert!(name == "x" || !dots);
            }
        }
    }
}
