//! One request on its way: connections, second tries, redirects.

use super::pool::Origin;
use super::request::HttpRequest;
use super::response::HttpResponse;
use super::wire::{Deadline, Wire};
use super::{HttpClient, Timeouts};
use crate::dial::{self, refuse_tls};
use crate::driver::Driver;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::trace;
use bytes::Bytes;
use std::future::poll_fn;
use std::task::Poll;
use tidewire::http::method::is_idempotent;
use tidewire::http::{
    self, BodyLength, Closed, Hop, OwnedResponseHead, RedirectError, Status, is_redirect,
};

/// How much of a shared body is handed to the connection at a time, in bytes: between two pieces it
/// is seen whether the server has answered already.
const PIECE: usize = 256 * 1024;

/// A request and how far it has come.
pub(super) struct Call<R: Runtime> {
    pub(super) client: HttpClient<R>,
    pub(super) request: HttpRequest,
    pub(super) hop: Hop,
    pub(super) deadline: Deadline<R::Timer>,
    timeouts: Timeouts,
    redirects: u8,
    /// The server has not refused the expectation.
    expects: bool,
}

/// Whether the body of a request can be sent once more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Known,
    Streamed,
}

impl<R: Runtime> Call<R> {
    pub(super) fn new(client: HttpClient<R>, request: HttpRequest) -> Self {
        let timeouts = request.timeouts.unwrap_or(client.config().timeouts);
        Self {
            hop: Hop::start(request.url.clone()),
            deadline: Deadline::new(timeouts.total, || client.connector().runtime.timer()),
            expects: true,
            redirects: 0,
            timeouts,
            client,
            request,
        }
    }

    /// Sends the request with the body that it has, as often as it takes.
    pub(super) async fn run(mut self) -> Result<HttpResponse<R>, Error> {
        let mut fresh = false;
        loop {
            let body = self.request.body.clone().filter(|_| self.hop.keeps_body());
            let length = BodyLength::Known(body.as_ref().map_or(0, |body| body.len() as u64));
            let mut wire = self.begin(length, fresh).await?;
            let head = match self.transmit(&mut wire, body.unwrap_or_default()).await {
                Ok(head) => head,
                Err(error) if self.may_repeat(&mut wire, &error) => {
                    trace::event!("tidewire::http", DEBUG, why = %error, "sent again");
                    fresh = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !self.goes_on(&head, Body::Known)? {
                return Ok(HttpResponse::new(self, wire, head));
            }
            self.client.recycle(wire);
            fresh = false;
        }
    }

    /// Begins a request whose body follows. A server that refuses to have it here, and says so in
    /// time, is obeyed.
    pub(super) async fn start(&mut self, length: BodyLength) -> Result<Box<Wire<R>>, Error> {
        loop {
            let mut wire = self.begin(length, false).await?;
            if wire.has_go_ahead() || self.room(&mut wire).await? {
                return Ok(wire);
            }
            // Nothing of the body was sent: it can go elsewhere.
            let Some(head) = wire.head.take() else { return Ok(wire) };
            let before = (self.hop.clone(), self.redirects);
            if !self.goes_on(&head, Body::Known)? || !self.hop.keeps_body() {
                (self.hop, self.redirects) = before;
                wire.head = Some(head);
                return Ok(wire);
            }
            self.client.recycle(wire);
        }
    }

    /// Waits for the response to a body that was streamed, and sees to redirects.
    pub(super) async fn answer(mut self, mut wire: Box<Wire<R>>) -> Result<HttpResponse<R>, Error> {
        let head = self.deadline.hold(wire.head(self.request.on_interim.as_ref())).await?;
        if !self.goes_on(&head, Body::Streamed)? {
            return Ok(HttpResponse::new(self, wire, head));
        }
        self.client.recycle(wire);
        self.request.body = None;
        self.run().await
    }

    /// Waits until the body may go on; `false` says that the server wants no more of it.
    pub(super) async fn room(&mut self, wire: &mut Wire<R>) -> Result<bool, Error> {
        let mark = self.client.config().send_high_water;
        let on_interim = self.request.on_interim.as_ref();
        self.deadline.hold(poll_fn(|cx| wire.poll_room(cx, mark, on_interim))).await
    }

    /// Sends the body, and waits for the head of the response.
    async fn transmit(
        &mut self,
        wire: &mut Wire<R>,
        mut body: Bytes,
    ) -> Result<OwnedResponseHead, Error> {
        let mark = self.client.config().send_high_water;
        let on_interim = self.request.on_interim.as_ref();
        while !body.is_empty() {
            let wanted = poll_fn(|cx| {
                let room = wire.poll_room(cx, mark, on_interim);
                if wire.head.is_some() { Poll::Ready(Ok(!wire.is_refused())) } else { room }
            });
            if !self.deadline.hold(wanted).await? {
                break;
            }
            // A response that is made of the body has to be read while the rest is sent, which is
            // done with the head here.
            let answered = wire.head.is_some();
            let piece = body.split_to(if answered { body.len() } else { PIECE.min(body.len()) });
            let http = wire.driver.parts();
            http.machine.send_shared(&piece, http.tx)?;
        }
        if body.is_empty() {
            wire.finish(http::Client::finish)?;
        }
        self.deadline.hold(wire.head(self.request.on_interim.as_ref())).await
    }

    /// Queues the request's head on a connection that was kept, or on a new one.
    async fn begin(&mut self, length: BodyLength, fresh: bool) -> Result<Box<Wire<R>>, Error> {
        let config = self.client.config();
        let url = self.hop.url();
        refuse_tls(url)?;
        let origin = Origin::of(url);
        let machine = config.machine(&self.timeouts);
        let kept = if fresh { None } else { self.client.take(&origin) };
        let mut wire = match kept {
            Some(wire) => wire,
            None => {
                let connector = self.client.connector();
                let dial = async { Ok(dial::dial(connector, url, self.timeouts.connect).await?) };
                let stream = self.deadline.hold(dial).await?;
                let (runtime, limit) = (connector.runtime.clone(), config.receive_buffer);
                let driver = Driver::with_stream(runtime, stream, limit, |now, _| {
                    http::Client::new(machine, now)
                });
                Box::new(Wire::new(driver, origin))
            }
        };
        wire.driver.set_write_timeout(self.timeouts.write);
        let host = url.host_header();
        let authorization = url.authorization();
        let expects = self.expects && length != BodyLength::EMPTY;
        let expectation = (self.request.expects_continue && expects).then_some("100-continue");
        let own = [
            ("Host", Some(host.as_str())),
            ("User-Agent", config.user_agent.as_deref()),
            ("Authorization", authorization.as_deref()),
            ("Expect", expectation),
        ];
        // RFC 9110, 10.1.1: not without content, nor where it was refused.
        let carried = |name: &str| {
            self.hop.carries(name) && (expects || !name.eq_ignore_ascii_case("Expect"))
        };
        let given = || self.request.fields.iter().filter(|(name, _)| carried(name));
        let is_given = |name: &str| given().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let own = own.iter().filter(|(name, _)| !is_given(name));
        let own = own.filter_map(|&(name, value)| Some((name, value?.as_bytes())));
        let fields: Vec<_> =
            own.chain(given().map(|(name, value)| (name.as_str(), value.as_slice()))).collect();

        let http = wire.driver.parts();
        *http.machine = http::Client::new(machine, http.now);
        let method = self.hop.method(&self.request.method);
        // RFC 9112, 3.2.3: where to, and nothing else.
        let authority = (method == "CONNECT").then(|| url.authority());
        let target = authority.as_deref().unwrap_or(url.target());
        let begun =
            http.machine.request(method, target, fields.iter().copied(), length, http.now, http.tx);
        if let Err(misuse) = begun {
            self.client.recycle(wire);
            return Err(misuse.into());
        }
        wire.begun();
        Ok(wire)
    }

    /// Whether the request is sent again, on a new connection: it has failed on a kept one before
    /// anything came back, most likely because the server has closed that meanwhile (RFC 9112,
    /// 9.3.1).
    fn may_repeat(&self, wire: &mut Wire<R>, error: &Error) -> bool {
        let broken = matches!(error, Error::Io(_) | Error::Http(Closed::Eof | Closed::Done));
        let method = self.hop.method(&self.request.method);
        broken
            && error.timed_out().is_none()
            && wire.reused
            && !wire.has_heard()
            && is_idempotent(method)
    }

    /// Whether the request is to be sent again because of this response: without its expectation,
    /// or elsewhere.
    fn goes_on(&mut self, head: &OwnedResponseHead, body: Body) -> Result<bool, Error> {
        let head = head.as_head();
        if head.status == Status::EXPECTATION_FAILED && body == Body::Known {
            // RFC 9110, 15.5.18.
            return Ok(self.request.expects_continue && std::mem::take(&mut self.expects));
        }
        let max = self.request.max_redirects.unwrap_or(self.client.config().max_redirects);
        let Some(location) = head.headers.get("Location") else { return Ok(false) };
        if !is_redirect(head.status) || max == 0 {
            return Ok(false);
        }
        let location = std::str::from_utf8(location).map_err(|_| RedirectError::Location)?;
        let hop = self.hop.follow(head.status, location, &self.request.method)?;
        if hop.keeps_body() && body == Body::Streamed {
            return Ok(false);
        }
        if self.redirects >= max {
            return Err(RedirectError::TooMany.into());
        }
        trace::event!(
            "tidewire::http", DEBUG,
            status = head.status.code(), to = %hop.url().authority(), "redirected"
        );
        self.redirects += 1;
        self.hop = hop;
        Ok(true)
    }
}
