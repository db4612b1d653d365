//! What messages are made of: right parts, and odd ones on which readers are known to differ.

pub const METHODS: &[&str] =
    &["GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE"];
pub const ODD_METHODS: &[&str] = &[
    "CONNECT",
    "CONNECT",
    "get",
    "PRI",
    "M-SEARCH",
    "!#$%&'*+-.^_`|~",
    "G@T",
    "",
    " GET",
    "QUERY",
];
pub const TARGETS: &[&str] = &["/", "/", "/a/b", "/a?b=c&d", "/%41%2f", "//x", "/a:b@c", "/?"];
pub const ODD_TARGETS: &[&str] = &[
    "*",
    "http://example.com/",
    "http://example.com",
    "HTTPS://[::1]:80/x?y",
    "http://h?q",
    "h:443",
    "[::1]:443",
    "http://u@h/",
    "http:///x",
    "http://h:/",
    "http://h:99999/",
    "mailto:x",
    "/a#b",
    "/%zz",
    "/%",
    "/\"<>",
    "/{}|^`\\",
    "/[x]",
    "/\u{7f}",
    "",
    "x",
    "/a b",
    "/\t",
    "http://%41/",
    "?",
    "h",
    "http://h:80:80/",
    "http://[::g]/",
    "http://[v1.x]/",
    "ws://h/",
    "1http://h/",
    "h:",
    "/é",
];
pub const AUTHORITIES: &[&str] = &["example.com:443", "[::1]:443", "127.0.0.1:80"];
pub const ODD_AUTHORITIES: &[&str] =
    &["example.com", "h:", ":443", "/", "u@h:443", "h:443/", "h:99999", "*"];
pub const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"];
pub const ODD_VERSIONS: &[&str] = &[
    "HTTP/1.2",
    "HTTP/1.9",
    "HTTP/2.0",
    "HTTP/0.9",
    "HTTP/2",
    "http/1.1",
    "HTTP/1.10",
    "HTTP/01.1",
    "HTTP/1.1 ",
    " HTTP/1.1",
    "HTTP/1,1",
    "HTTP/11",
    "",
    "ICE/1.0",
    "RTSP/1.0",
    "HTTP/1.",
];
pub const HOSTS: &[&str] = &["example.com", "h:80", "[::1]:8080", "127.0.0.1", "a-b.c"];
pub const ODD_HOSTS: &[&str] = &[
    "",
    "a b",
    "a,b",
    "h:",
    ":80",
    "h:99999",
    "h:8x",
    "u@h",
    "%41",
    "%zz",
    "a_b",
    "[::g]",
    "[::1",
    "h:80:80",
    "h/",
    "[v1.x]",
    "[]",
    "h?",
    "é",
    "h;",
    "h\"",
    "[::1%25en0]",
    "[1.2.3.4]",
    "h:+80",
];
pub const LENGTHS: &[&str] = &["0", "3", "5", "10"];
pub const ODD_LENGTHS: &[&str] = &[
    "",
    "+5",
    "-1",
    "5,5",
    "5, 5",
    "5,6",
    "0x5",
    "5_0",
    "005",
    "5.0",
    "5;",
    "5 5",
    "\"5\"",
    ",5",
    "5,",
    "00000000000000000000005",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "99999999999999999999999",
    "٥",
    "1e1",
    "\t5",
    "5\t",
];
pub const CODINGS: &[&str] = &["chunked", "chunked", "Chunked"];
pub const ODD_CODINGS: &[&str] = &[
    "gzip, chunked",
    "chunked, chunked",
    "chunked, gzip",
    "identity",
    "chunked;x=1",
    "",
    ",chunked",
    "chunked,",
    "xchunked",
    "\"chunked\"",
    "chunked chunked",
    "gzip",
    "chunked, identity",
    ", ,",
    "identity, chunked",
    "chunked;",
    "gzip;q=1, chunked",
    "chunke\u{212a}",
    "\u{b}chunked",
    "\"a,chunked\"",
    "gzip,,chunked",
];
pub const CONNECTIONS: &[&str] = &["close", "keep-alive", "Upgrade", "keep-alive, Upgrade"];
pub const ODD_CONNECTIONS: &[&str] = &[
    "",
    "Close",
    "close, keep-alive",
    "keep-alive,close",
    "close;x",
    "\"close\"",
    ",close",
    "x,,close,",
    "clos",
    "close close",
    "upgrade,close",
    "\"a,close",
    "\"a,close\",x",
    "x \"a,close\"",
];
pub const NAMES: &[&str] = &["X-A", "Accept", "Cookie", "User-Agent", "x-lower", "Date", "Via"];
pub const ODD_NAMES: &[&str] =
    &["", "X A", "X\tA", "X\"", "X(", "é", "X\0", "!#$%&'*+-.^_`|~0", "X/", "{x}", "X\u{b}", "@"];
pub const VALUES: &[&str] =
    &["", "x", "a b", "a\tb", "text/html;q=0.9, */*", "\"quoted, text\"", "a=b; c=d"];
pub const ODD_VALUES: &[&str] =
    &["\0", "\u{7f}", "a\u{1}b", "é", "a\rb", "a\nb", "a\u{b}", "\u{1b}[0m", "x\u{c}"];
pub const REASONS: &[&str] = &[" OK", " OK", " ", " Not Found", ""];
pub const ODD_REASONS: &[&str] = &[" é", " a\tb", "  x ", " \0", "OK", " a\rb", "\t"];
pub const STATUSES: &[&str] = &["200", "200", "200", "206", "404", "500", "204", "304", "205"];
pub const ODD_STATUSES: &[&str] = &[
    "100", "101", "103", "199", "299", "600", "999", "099", "20", "2000", "2x0", "000", "+20", "",
];
pub const INTERIM: &[&str] =
    &["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"];
pub const ODD_INTERIM: &[&str] = &[
    "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 100 Continue\r\n\r\n",
    "\r\n",
];
pub const SIZES: &[&str] = &["1", "5", "a", "A", "10", "05"];
pub const ODD_SIZES: &[&str] = &[
    "-3",
    "+3",
    "0x3",
    "0_3",
    "",
    " 3",
    "3 ",
    "g",
    "0000000000000000005",
    "ffffffffffffffff",
    "10000000000000000",
    "100000000000000005",
    "3.",
    "\t3",
    "fffffffffffffff0",
    "8000000000000000",
    "5,",
];
pub const EXTENSIONS: &[&str] = &["", "", "", ";a", ";a=b", ";a=\"b;c\"", ";a;b=c"];
pub const ODD_EXTENSIONS: &[&str] = &[
    ";",
    " ;a",
    "; a = b",
    ";a=",
    ";=b",
    ";a b",
    ";a=\"b",
    ";a=\"\\\"\"",
    " ",
    ";a\n",
    ";a=\r",
    ";a=\"\n\"",
    ";a\0",
    ";é",
    "a",
    ";a=b ",
    ";a=\"é\"",
    ";;",
    ";a,b",
    "\t;a",
    ";a \t",
    ";\"a\"",
    ";a=b=c",
    ";a=\"b\"c",
];
pub const TRAILERS: &[&str] = &["X-Sum: 1", "Digest: abc", "X-Empty:"];
pub const ODD_TRAILERS: &[&str] = &[
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Host: evil",
    "X : a",
    " folded",
    "X",
    ": x",
    "Connection: close",
    "X: a\0",
    "Trailer: x",
    "Authorization: x",
    "Set-Cookie: a=b",
    "Content-Type: x",
    "Cache-Control: x",
    "Expect: 100-continue",
    "Content-Encoding: gzip",
    "TE: x",
    "Keep-Alive: x",
];
pub const LINE_ENDS: &[&str] =
    &["\n", "\r", "\r\r\n", "\n\r", " \r\n", "\r\n ", "", "\0\r\n", "\r\n\t"];
pub const COLONS: &[&str] = &[" :", "", "\t: ", ":  \t", "::", ": :", " : "];
pub const EXPECTATIONS: &[&str] = &["100-continue", "100-Continue"];
pub const ODD_EXPECTATIONS: &[&str] = &["x", "100-continue, x", "", "100-continue;a"];
