//! Which of a program's resources a request is for, and which methods that resource takes (RFC 9110,
//! 7.1, 9.1 and 9.3.7).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::str;

/// The methods that every server knows (RFC 9110, 9.3; RFC 5789): where no route takes one of them, the
/// resource does not allow it. What is not among them and in no route is not implemented.
const KNOWN: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Finds what a program has for the method and path of a request: a value of its own, such as a variant
/// of an enum, or a function.
///
/// A pattern is a path. `{name}` stands for one segment, whatever is in it but nothing, and `{*name}` at
/// the end for the rest of the path, which may be nothing. Of several patterns that fit, the one wins
/// that is more exact where they first differ: a literal segment before a parameter, and that before
/// a rest. The order of the routes means nothing. A final `/` counts, and so does case.
///
/// A route for GET takes HEAD too, unless HEAD has one of its own.
///
/// ```
/// use tidewire::http::{Miss, Router};
///
/// #[derive(Debug, PartialEq)]
/// enum Page { Home, User, Me, Upload, File }
///
/// let router = Router::new()
///     .route("GET", "/", Page::Home)?
///     .route("GET", "/users/{id}", Page::User)?
///     .route("GET", "/users/me", Page::Me)?
///     .route("PUT", "/files/{*path}", Page::Upload)?
///     .route("GET", "/files/{*path}", Page::File)?;
///
/// assert_eq!(*router.find("GET", "/users/me").unwrap().value, Page::Me);
/// let found = router.find("HEAD", "/users/J%C3%BCrgen").unwrap();
/// assert_eq!((found.value, found.params.get("id")), (&Page::User, Some("Jürgen")));
/// let found = router.find("PUT", "/files/a/b.txt").unwrap();
/// assert_eq!((found.value, found.params.get("path")), (&Page::Upload, Some("a/b.txt")));
///
/// assert_eq!(router.find("GET", "/nowhere"), Err(Miss::NotFound));
/// let miss = router.find("DELETE", "/files/a").unwrap_err();
/// assert_eq!(miss, Miss::MethodNotAllowed { allow: "GET, HEAD, OPTIONS, PUT" });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Router<T> {
    root: Node<T>,
    /// The methods of all resources, for `OPTIONS *`.
    all: Methods<()>,
}

/// A place in the tree of patterns: what the segments up to here lead to.
#[derive(Clone, Debug)]
struct Node<T> {
    literal: BTreeMap<String, Node<T>>,
    parameter: Option<Box<Node<T>>>,
    rest: Methods<T>,
    here: Methods<T>,
}

/// A resource: each method that it takes, with the names of its pattern's parameters.
#[derive(Clone, Debug)]
struct Methods<T> {
    routes: BTreeMap<String, (Vec<String>, T)>,
    /// The value of `Allow` (RFC 9110, 10.2.1).
    allow: String,
}

/// What a [`Router`] has for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'r, T> {
    /// The value of the route.
    pub value: &'r T,
    /// What stands in the path for the parameters of the pattern.
    pub params: Params<'r>,
}

/// What stands in a path for the parameters of its pattern, percent-decoded (RFC 3986, 2.1).
///
/// A value may hold any character: `/` and `\` too where they are encoded, and `.` and `..` where the
/// parameter is a single segment. Only [the rest of a path](Router) holds no segment `.` or `..`,
/// however it is encoded, and so leads nowhere outside when it is put behind a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params<'r> {
    names: &'r [String],
    values: Vec<String>,
}

impl<'r> Params<'r> {
    /// The value of the parameter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// All of them, with their names, as they stand in the path.
    pub fn iter(&self) -> impl Iterator<Item = (&'r str, &str)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().map(String::as_str))
    }
}

/// Why a [`Router`] has nothing for a request, which says how to answer it: with
/// [`status`](Self::status), and [`allow`](Self::allow) if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Miss<'r> {
    /// The path has a `%` that no two hexadecimal digits follow, or decodes to something other than
    /// UTF-8, or a rest of a path has a segment `.` or `..`. `400`.
    #[error("the path cannot be understood")]
    BadPath,
    /// No pattern fits. `404` (RFC 9110, 15.5.5).
    #[error("there is nothing at this path")]
    NotFound,
    /// The resource does not take the method, but others. `405` (RFC 9110, 15.5.6).
    #[error("the method is not allowed here; these are: {allow}")]
    MethodNotAllowed {
        /// The value of the response's `Allow` (RFC 9110, 10.2.1).
        allow: &'r str,
    },
    /// The client asks which methods the resource takes, or with `*` which the server does, and no route
    /// says otherwise. `204` (RFC 9110, 9.3.7).
    #[error("the client asks for the methods of this path: {allow}")]
    Options {
        /// The value of the response's `Allow`.
        allow: &'r str,
    },
    /// No resource takes this method, and it is none of HTTP's own. `501` (RFC 9110, 9.1).
    #[error("the method is not implemented")]
    NotImplemented,
}

impl<'r> Miss<'r> {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> super::Status {
        use super::Status;
        match self {
            Self::BadPath => Status::BAD_REQUEST,
            Self::NotFound => Status::NOT_FOUND,
            Self::MethodNotAllowed { .. } => Status::METHOD_NOT_ALLOWED,
            Self::Options { .. } => Status::NO_CONTENT,
            Self::NotImplemented => Status::NOT_IMPLEMENTED,
        }
    }

    /// The value of `Allow` that the answer must have (RFC 9110, 10.2.1).
    #[must_use]
    pub const fn allow(self) -> Option<&'r str> {
        match self {
            Self::MethodNotAllowed { allow } | Self::Options { allow } => Some(allow),
            _ => None,
        }
    }
}

/// A route that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The pattern does not begin with `/`, or holds a `?`, a `#` or a `%` that no two hexadecimal
    /// digits follow.
    #[error("the pattern {0:?} is no path")]
    NoPath(String),
    /// A brace without its other one or beside other characters of its segment, a parameter without a
    /// name or with the name of another, or `{*name}` before the end.
    #[error("the parameters of the pattern {0:?} cannot be")]
    BadParameter(String),
    /// The method is no token (RFC 9110, 9.1).
    #[error("{0:?} is no method")]
    BadMethod(String),
    /// Another route of this method has a pattern that fits the same paths.
    #[error("there is another route for {method} {pattern:?}")]
    Taken {
        /// The method.
        method: String,
        /// The pattern.
        pattern: String,
    },
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self { root: Node::default(), all: Methods::default() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literal: BTreeMap::new(),
            parameter: None,
            rest: Methods::default(),
            here: Methods::default(),
        }
    }
}

impl<T> Default for Methods<T> {
    fn default() -> Self {
        Self { routes: BTreeMap::new(), allow: String::new() }
    }
}

impl<T> Methods<T> {
    fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Adds a route, or gives it back if there is one for this method.
    fn insert(&mut self, method: &str, route: (Vec<String>, T)) -> bool {
        if self.routes.contains_key(method) {
            return false;
        }
        self.routes.insert(method.to_string(), route);
        let mut methods: Vec<_> = self.routes.keys().map(String::as_str).collect();
        if self.routes.contains_key("GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.sort_unstable();
        methods.dedup();
        self.allow = methods.join(", ");
        true
    }

    /// The route for a method. HEAD asks for what GET would give (RFC 9110, 9.3.2).
    fn get(&self, method: &str) -> Option<&(Vec<String>, T)> {
        let instead = || (method == "HEAD").then(|| self.routes.get("GET")).flatten();
        self.routes.get(method).or_else(instead)
    }
}

impl<T> Router<T> {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route: `value` is what there is for requests with this method whose path fits the pattern.
    ///
    /// # Errors
    /// [`RouteError`]: a mistake of the program's.
    pub fn route(mut self, method: &str, pattern: &str, value: T) -> Result<Self, RouteError> {
        if !super::chars::is_token(method.as_bytes()) {
            return Err(RouteError::BadMethod(method.into()));
        }
        let no_path = || RouteError::NoPath(pattern.into());
        let bad_parameter = || RouteError::BadParameter(pattern.into());
        let path = pattern.strip_prefix('/').filter(|path| !path.contains(['?', '#']));
        let mut segments = path.ok_or_else(no_path)?.split('/').peekable();
        let (mut node, mut names, mut is_rest) = (&mut self.root, Vec::<String>::new(), false);
        while let Some(segment) = segments.next() {
            let inside = segment.strip_prefix('{').and_then(|inside| inside.strip_suffix('}'));
            if inside.unwrap_or(segment).contains(['{', '}']) {
                return Err(bad_parameter());
            }
            let Some(name) = inside else {
                let literal = decode(segment).ok_or_else(no_path)?;
                node = node.literal.entry(literal.into_owned()).or_default();
                continue;
            };
            is_rest = name.starts_with('*');
            let name = name.strip_prefix('*').unwrap_or(name);
            let misplaced = is_rest && segments.peek().is_some();
            if misplaced || name.is_empty() || names.iter().any(|other| other == name) {
                return Err(bad_parameter());
            }
            names.push(name.into());
            if !is_rest {
                node = node.parameter.get_or_insert_default();
            }
        }
        let methods = if is_rest { &mut node.rest } else { &mut node.here };
        if !methods.insert(method, (names, value)) {
            return Err(RouteError::Taken { method: method.into(), pattern: pattern.into() });
        }
        self.all.insert(method, (Vec::new(), ()));
        Ok(self)
    }

    /// What there is for a request with this method and [path](super::RequestHead::path), which is
    /// compared segment by segment, each percent-decoded: an encoded `/` does not end a segment.
    ///
    /// Looks at no segment of a pattern twice, whatever the path.
    ///
    /// # Errors
    /// [`Miss`]: how to answer a request that there is nothing for.
    pub fn find(&self, method: &str, path: &str) -> Result<Found<'_, T>, Miss<'_>> {
        if path == "*" && method == "OPTIONS" {
            return Err(Miss::Options { allow: &self.all.allow });
        }
        if decode(path).is_none() {
            return Err(Miss::BadPath);
        }
        let mut values = Vec::new();
        let found = path.strip_prefix('/').and_then(|path| self.root.find(path, &mut values));
        let Some((methods, rest)) = found else {
            let unknown = !KNOWN.contains(&method) && self.all.get(method).is_none();
            return Err(if unknown { Miss::NotImplemented } else { Miss::NotFound });
        };
        if let Some(rest) = rest {
            let rest = decode(rest).unwrap_or_default();
            if rest.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
                return Err(Miss::BadPath);
            }
            values.push(rest.into_owned());
        }
        match methods.get(method) {
            Some((names, value)) => Ok(Found { value, params: Params { names, values } }),
            None if method == "OPTIONS" => Err(Miss::Options { allow: &methods.allow }),
            None if KNOWN.contains(&method) || self.all.get(method).is_some() => {
                Err(Miss::MethodNotAllowed { allow: &methods.allow })
            }
            None => Err(Miss::NotImplemented),
        }
    }
}

impl<T> Node<T> {
    /// The resource at `path` below this node, and what of the path is its rest. A literal goes before a
    /// parameter, and that before a rest. As deep as the patterns are long.
    fn find<'r, 'p>(
        &'r self,
        path: &'p str,
        values: &mut Vec<String>,
    ) -> Option<(&'r Methods<T>, Option<&'p str>)> {
        let (segment, behind) =
            path.split_once('/').map_or((path, None), |(segment, behind)| (segment, Some(behind)));
        let segment = decode(segment).unwrap_or_default();
        let go_on = |node: &'r Self, values: &mut Vec<String>| match behind {
            Some(behind) => node.find(behind, values),
            None if node.here.is_empty() => None,
            None => Some((&node.here, None)),
        };
        if let Some(found) = self.literal.get(&*segment).and_then(|node| go_on(node, values)) {
            return Some(found);
        }
        if let Some(node) = self.parameter.as_deref().filter(|_| !segment.is_empty()) {
            values.push(segment.into_owned());
            if let Some(found) = go_on(node, values) {
                return Some(found);
            }
            values.pop();
        }
        (!self.rest.is_empty()).then_some((&self.rest, Some(path)))
    }
}

/// Percent-decodes (RFC 3986, 2.1). `None` if a `%` is not followed by two hexadecimal digits, or what
/// comes out is no UTF-8.
fn decode(encoded: &str) -> Option<Cow<'_, str>> {
    if !encoded.contains('%') {
        return Some(Cow::Borrowed(encoded));
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut parts = encoded.as_bytes().split(|&byte| byte == b'%');
    decoded.extend_from_slice(parts.next()?);
    for part in parts {
        let (digits, plain) = part.split_at_checked(2)?;
        // `from_str_radix` takes signs as well.
        let both = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = str::from_utf8(digits).ok().filter(|_| both)?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        decoded.extend_from_slice(plain);
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}
