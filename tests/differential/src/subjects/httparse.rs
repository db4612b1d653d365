//! The crate `httparse`: heads alone.

use crate::case::{Case, End, Field, Message, Verdict};
use httparse::{EMPTY_HEADER, Header, Request, Response, Status};

pub fn judge(case: &Case) -> Verdict {
    let mut lines = [EMPTY_HEADER; 1000];
    let parsed = if case.is_requests() {
        let mut request = Request::new(&mut lines);
        request.parse(&case.bytes).map(|status| {
            let first = request.method.unwrap_or_default().into();
            let second = request.path.unwrap_or_default().into();
            (status, message(first, second, request.version, request.headers))
        })
    } else {
        let mut response = Response::new(&mut lines);
        response.parse(&case.bytes).map(|status| {
            let first = response.code.unwrap_or_default().to_string().into();
            let second = response.reason.unwrap_or_default().into();
            (status, message(first, second, response.version, response.headers))
        })
    };
    match parsed {
        Ok((Status::Complete(_), message)) => {
            Verdict { messages: vec![message], end: End::Unknown }
        }
        Ok((Status::Partial, _)) => Verdict { messages: Vec::new(), end: End::Incomplete },
        Err(error) => {
            let end = End::Refused { why: format!("{error:?}"), at: None };
            Verdict { messages: Vec::new(), end }
        }
    }
}

fn message(
    first: Vec<u8>,
    second: Vec<u8>,
    version: Option<u8>,
    headers: &[Header<'_>],
) -> Message {
    Message {
        first,
        second,
        minor: version.unwrap_or_default(),
        fields: headers.iter().map(|line| Field(line.name.into(), line.value.into())).collect(),
        body: Vec::new(),
        trailers: Vec::new(),
        keep_alive: None,
        complete: false,
    }
}
