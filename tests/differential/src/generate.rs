//! Messages after the grammar, with an oddity here and there where readers are known to differ.

use crate::case::{Asked, Case};
use crate::words::*;
use fastrand::Rng;

/// A case drawn from `rng`: requests and responses in turn, most of them nearly right.
pub fn case(rng: &mut Rng) -> Case {
    // How often a choice is an odd one.
    let oddity = [0.0, 0.03, 0.06, 0.15][rng.usize(..4)];
    let mut writer = Writer { rng, oddity, out: Vec::new() };
    if writer.rng.bool() {
        for _ in 0..writer.often(&[1, 1, 2, 3]) {
            writer.request();
        }
        Case::requests(writer.out)
    } else {
        let asked = match writer.rng.usize(..8) {
            0 => vec![Asked::Connect],
            1 => vec![Asked::Upgrade],
            _ => (0..writer.often(&[1, 1, 2, 3]))
                .map(|_| writer.often(&[Asked::Get, Asked::Get, Asked::Head]))
                .collect(),
        };
        for &asked in &asked {
            writer.response(asked);
        }
        Case::responses(&asked, writer.out)
    }
}

struct Writer<'a> {
    rng: &'a mut Rng,
    /// How likely it is that a choice is an odd one.
    oddity: f64,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn odd(&mut self) -> bool {
        self.rng.f64() < self.oddity
    }

    fn often<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.rng.usize(..among.len())]
    }

    fn pick(&mut self, right: &[&'static str], odd: &[&'static str]) -> &'static str {
        let among = if self.odd() { odd } else { right };
        self.often(among)
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn line_end(&mut self) {
        // There are many lines.
        let end = if self.rng.u8(..4) == 0 && self.odd() { self.often(LINE_ENDS) } else { "\r\n" };
        self.put(end);
    }

    fn field(&mut self, name: &str, value: &str) {
        let name = match self.rng.u8(..16) {
            0 => name.to_ascii_lowercase(),
            1 => name.to_ascii_uppercase(),
            _ => name.into(),
        };
        self.put(&name);
        let colon =
            if self.rng.u8(..4) == 0 { self.pick(&[":", ":\t", ": "], COLONS) } else { ": " };
        self.put(colon);
        self.put(value);
        if self.rng.u8(..16) == 0 {
            self.put(" \t");
        }
        self.line_end();
    }

    fn request(&mut self) {
        if self.odd() {
            let lead = self.often(&["\r\n", "\r\n\r\n", "\n", "\r", " "]);
            self.put(lead);
        }
        let method = self.pick(METHODS, ODD_METHODS);
        let target = if method == "CONNECT" {
            self.pick(AUTHORITIES, ODD_AUTHORITIES)
        } else if method == "OPTIONS" && self.rng.bool() {
            "*"
        } else {
            self.pick(TARGETS, ODD_TARGETS)
        };
        let version = self.pick(VERSIONS, ODD_VERSIONS);
        let space = self.pick(&[" "], &["  ", "\t", "", "\u{b}"]);
        self.put(method);
        self.put(space);
        self.put(target);
        let space = self.pick(&[" "], &["  ", "\t", ""]);
        self.put(space);
        self.put(version);
        self.line_end();

        let mut lines = vec!["host"];
        if self.odd() {
            lines = self.often(&[&[][..], &["host", "host"]]).to_vec();
        }
        if matches!(method, "POST" | "PUT" | "PATCH") || self.odd() {
            lines.push("body");
        }
        if self.rng.u8(..8) == 0 {
            lines.push("expect");
        }
        self.fields(lines);
    }

    fn response(&mut self, asked: Asked) {
        while self.rng.u8(..6) == 0 || self.odd() {
            let interim = self.pick(INTERIM, ODD_INTERIM);
            self.put(interim);
        }
        let version = self.pick(VERSIONS, ODD_VERSIONS);
        let mut status = self.pick(STATUSES, ODD_STATUSES);
        if asked == Asked::Upgrade && self.rng.bool() {
            status = "101";
        }
        self.put(version);
        let space = self.pick(&[" "], &["  ", "\t", ""]);
        self.put(space);
        self.put(status);
        let reason = self.pick(REASONS, ODD_REASONS);
        self.put(reason);
        self.line_end();
        let mut lines = Vec::new();
        if status == "101" && !self.odd() {
            lines.push("switch");
        }
        if self.rng.u8(..4) > 0 {
            lines.push("body");
        }
        self.fields(lines);
    }

    /// The lines of a head with these among them, and the body that they announce.
    fn fields(&mut self, mut lines: Vec<&'static str>) {
        lines.extend(std::iter::repeat_n("other", self.rng.usize(..4)));
        if self.rng.u8(..5) == 0 {
            lines.push("connection");
        }
        if self.rng.u8(..16) == 0 {
            lines.push("upgrade");
        }
        self.rng.shuffle(&mut lines);
        let mut length = None;
        let mut chunked = false;
        for line in lines {
            match line {
                "host" => {
                    let host = self.pick(HOSTS, ODD_HOSTS);
                    self.field("Host", host);
                }
                "expect" => {
                    let value = self.pick(EXPECTATIONS, ODD_EXPECTATIONS);
                    self.field("Expect", value);
                }
                "switch" => {
                    self.field("Connection", "Upgrade");
                    self.field("Upgrade", "websocket");
                }
                "connection" => {
                    let value = self.pick(CONNECTIONS, ODD_CONNECTIONS);
                    self.field("Connection", value);
                }
                "upgrade" => {
                    let value = self.often(&["websocket", "h2c", "a/1, b", ""]);
                    self.field("Upgrade", value);
                }
                "body" => {
                    let both = self.odd();
                    for _ in 0..if self.odd() { 2 } else { 1 } {
                        if both || self.rng.bool() {
                            let value = self.pick(LENGTHS, ODD_LENGTHS);
                            length = value.parse().ok();
                            self.field("Content-Length", value);
                        }
                        if both || length.is_none() {
                            let value = self.pick(CODINGS, ODD_CODINGS);
                            chunked = true;
                            self.field("Transfer-Encoding", value);
                        }
                    }
                }
                _ => {
                    let name = self.pick(NAMES, ODD_NAMES);
                    let value = self.pick(VALUES, ODD_VALUES);
                    self.field(name, value);
                }
            }
        }
        self.line_end();
        if chunked {
            self.chunks();
        } else if let Some(length) = length {
            self.filler(u64::min(length, 20) as usize);
        }
    }

    fn chunks(&mut self) {
        for _ in 0..self.rng.usize(..4) {
            let size = self.pick(SIZES, ODD_SIZES);
            self.put(size);
            let extension = self.pick(EXTENSIONS, ODD_EXTENSIONS);
            self.put(extension);
            self.line_end();
            self.filler(
                u64::from_str_radix(size.trim(), 16).map_or(3, |size| size.min(20) as usize),
            );
            self.line_end();
        }
        let last = self.pick(&["0", "00"], &["", "0x0", "-0", "0 "]);
        self.put(last);
        let extension = self.pick(EXTENSIONS, ODD_EXTENSIONS);
        self.put(extension);
        self.line_end();
        while self.rng.u8(..4) == 0 {
            let trailer = self.pick(TRAILERS, ODD_TRAILERS);
            self.put(trailer);
            self.line_end();
        }
        self.line_end();
    }

    /// Payload, which looks like protocol now and then.
    fn filler(&mut self, len: usize) {
        let source = self.often(&["0123456789abcdefghijklmn", "\r\n0\r\n\r\nGET / HTTP/1.1\r\n"]);
        self.out.extend_from_slice(&source.as_bytes()[..len.min(source.len())]);
    }
}
