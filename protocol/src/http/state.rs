//! The states of a connection: one table for the client and the server.
//!
//! # Theory of operation
//!
//! Each end of a connection keeps the state of *both* parties, its own and its peer's. What it sends
//! moves its own state, what it receives moves the peer's, and so both ends agree about where they
//! are, in one set of rules:
//!
//! * [`STEPS`] says what each party may do in each state, and where that takes it. What is not in
//!   the table is a protocol error if the peer does it, and a [`Misuse`](super::Misuse) if the caller
//!   asks for it.
//! * [`TOGETHER`] says what follows when both states are what they are: a request makes a response
//!   due, a refused upgrade goes on as an ordinary exchange.
//!
//! Three facts about the connection steer the second table: whether there is a reason to close it
//! behind this exchange ([`CloseReason`], set once and never taken back), whether the client has
//! proposed another protocol (RFC 9110, 7.8, or CONNECT, 9.3.6), and whether a further request was
//! pipelined (RFC 9112, 9.3.2). A client's state is that of its newest request, a server's that of
//! its response to the oldest one.
//!
//! Any party can fail in any state; [`State::Error`] is therefore in no row. Nothing leads out of it.
//!
//! The diagrams of the documentation are drawn from these tables.

use super::CloseReason;
use core::fmt;

/// A party of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// Who sends requests.
    Client,
    /// Who answers them.
    Server,
}

/// What a party is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It has sent nothing of this exchange.
    Idle,
    /// A server's: a request has begun, the final response has not.
    SendResponse,
    /// The head of its message is sent, its body is under way.
    SendBody,
    /// Its message is complete, and another one may follow.
    Done,
    /// A client's: its request is complete and proposes another protocol.
    MightSwitch,
    /// The connection belongs to another protocol.
    Switched,
    /// Its message is complete, and nothing but the end of the connection can follow.
    MustClose,
    /// It has closed its side of the connection.
    Closed,
    /// It has broken a rule or given up. Nothing that it sends means anything any more.
    Error,
}

/// Where a connection is: the states of both parties.
///
/// ```
/// use tidewire::http::{BodyLength, Client, ClientConfig, State};
/// use tidewire::{Instant, SendBuf};
///
/// let (now, mut tx) = (Instant::EPOCH, SendBuf::new());
/// let mut client = Client::new(ClientConfig::default(), now);
/// client.request("PUT", "/", [("Host", "h")], BodyLength::Unknown, now, &mut tx)?;
/// assert_eq!(client.states().to_string(), "client SendBody, server SendResponse");
/// client.finish(&mut tx)?;
/// assert_eq!(client.states().client, State::Done);
/// # Ok::<(), tidewire::http::Misuse>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct States {
    /// The client's, of its newest request.
    pub client: State,
    /// The server's, of its response to the oldest request.
    pub server: State,
}

impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {:?}, server {:?}", self.client, self.server)
    }
}

/// What a party does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The head of a request.
    Request,
    /// The head of an interim response.
    Interim,
    /// The head of a final response.
    Response,
    /// A `101`, or a success in answer to CONNECT.
    Switch,
    /// A piece of a body.
    Data,
    /// The end of a message.
    End,
    /// The end of its side of the connection.
    Close,
}

/// When a row of [`TOGETHER`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// There is a reason to close.
    Closing,
    /// The client has proposed another protocol.
    Proposed,
    /// There is a further request.
    Pipelined,
    /// The machine is ready for the next exchange. It waits, for instance, until the response to the
    /// one before has been written.
    Ready,
}

macro_rules! steps {
    ($($party:ident $from:ident $step:ident => $to:ident)*) => {
        /// Who, in which state, does what, and is where then.
        #[cfg(test)]
        pub(super) const STEPS: &[(Party, State, Step, State)] =
            &[$((Party::$party, State::$from, Step::$step, State::$to)),*];

        /// The state behind a step, if it is allowed.
        #[inline]
        const fn behind(party: Party, from: State, step: Step) -> Option<State> {
            match (party, from, step) {
                $((Party::$party, State::$from, Step::$step) => Some(State::$to),)*
                _ => None,
            }
        }
    };
}

steps! {
    Client Idle         Request  => SendBody
    Client Idle         Close    => Closed
    Client SendBody     Data     => SendBody
    Client SendBody     End      => Done
    Client Done         Close    => Closed
    Client MightSwitch  Close    => Closed
    Client MustClose    Close    => Closed
    // A client may pipeline.
    Client Done         Request  => SendBody

    // What is wrong with a request is told before there is one.
    Server Idle         Response => SendBody
    Server Idle         Close    => Closed
    Server SendResponse Interim  => SendResponse
    Server SendResponse Response => SendBody
    Server SendResponse Switch   => Switched
    Server SendResponse Close    => Closed
    Server SendBody     Data     => SendBody
    Server SendBody     End      => Done
    Server SendBody     Close    => Closed
    Server Done         Close    => Closed
    Server MustClose    Close    => Closed
}

macro_rules! together {
    ($($when:ident: $client:ident $server:ident => $client_then:ident $server_then:ident)*) => {
        /// When, in which two states, and which they are then.
        #[cfg(test)]
        pub(super) const TOGETHER: &[(When, States, States)] = &[$((
            When::$when,
            States { client: State::$client, server: State::$server },
            States { client: State::$client_then, server: State::$server_then },
        )),*];

        /// What follows from two states. The first row that holds counts.
        #[inline]
        const fn follows(states: States, facts: &Facts) -> Option<States> {
            match (states.client, states.server) {
                $(
                    (State::$client, State::$server) if facts.say(When::$when) => Some(States {
                        client: State::$client_then,
                        server: State::$server_then,
                    }),
                )*
                _ => None,
            }
        }
    };
}

together! {
    // A request makes a response due.
    Always:    SendBody    Idle         => SendBody    SendResponse
    Always:    Done        Idle         => Done        SendResponse
    // Another protocol is proposed once the request is complete, and taken or not.
    Proposed:  Done        SendResponse => MightSwitch SendResponse
    Always:    MightSwitch Switched     => Switched    Switched
    Always:    MightSwitch SendBody     => Done        SendBody
    // The response to a request that was pipelined behind the one just answered.
    Pipelined: SendBody    Done         => SendBody    SendResponse
    Pipelined: Done        Done         => Done        SendResponse
    // The last exchange.
    Closing:   Done        Done         => MustClose   MustClose
    Closing:   SendBody    Done         => SendBody    MustClose
    Closing:   Idle        Idle         => MustClose   MustClose
    Always:    Closed      Done         => Closed      MustClose
    Always:    Closed      Idle         => Closed      MustClose
    Always:    Idle        Closed       => MustClose   Closed
    Always:    Done        Closed       => MustClose   Closed
    // The next exchange.
    Ready:     Done        Done         => Idle        Idle
}

/// What steers the second table.
#[derive(Clone, Copy, Debug)]
struct Facts {
    close: Option<CloseReason>,
    proposed: bool,
    pipelined: bool,
    ready: bool,
}

impl Facts {
    #[inline]
    const fn say(&self, when: When) -> bool {
        match when {
            When::Always => true,
            When::Closing => self.close.is_some(),
            When::Proposed => self.proposed,
            When::Pipelined => self.pipelined,
            When::Ready => self.ready,
        }
    }
}

/// The tables, at work in one connection.
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    states: States,
    facts: Facts,
}

impl Tracker {
    pub(super) const fn new() -> Self {
        Self {
            states: States { client: State::Idle, server: State::Idle },
            facts: Facts { close: None, proposed: false, pipelined: false, ready: false },
        }
    }

    #[inline]
    pub(super) const fn states(&self) -> States {
        self.states
    }

    #[inline]
    pub(super) const fn client(&self) -> State {
        self.states.client
    }

    #[inline]
    pub(super) const fn server(&self) -> State {
        self.states.server
    }

    const fn of(&mut self, party: Party) -> &mut State {
        match party {
            Party::Client => &mut self.states.client,
            Party::Server => &mut self.states.server,
        }
    }

    /// Whether `party` may do this now.
    #[inline]
    pub(super) const fn allows(&self, party: Party, step: Step) -> bool {
        let state = match party {
            Party::Client => self.states.client,
            Party::Server => self.states.server,
        };
        behind(party, state, step).is_some()
    }

    /// `party` does this, if it may.
    #[inline]
    pub(super) fn step(&mut self, party: Party, step: Step) {
        let state = self.of(party);
        let next = behind(party, *state, step);
        debug_assert!(next.is_some(), "{party:?} in {state:?} does {step:?}");
        if let Some(next) = next {
            *state = next;
            self.settle();
        }
    }

    /// `party` has failed.
    pub(super) const fn fail(&mut self, party: Party) {
        *self.of(party) = State::Error;
    }

    /// No exchange follows this one. The first reason counts.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.facts.close.is_none() {
            self.facts.close = Some(reason);
            self.settle();
        }
    }

    #[inline]
    pub(super) const fn close_reason(&self) -> Option<CloseReason> {
        self.facts.close
    }

    /// Whether the request under way proposes another protocol.
    #[inline]
    pub(super) const fn propose(&mut self, proposed: bool) {
        self.facts.proposed = proposed;
    }

    /// Whether there is a further request behind the one under way.
    #[inline]
    pub(super) const fn pipeline(&mut self, pipelined: bool) {
        self.facts.pipelined = pipelined;
    }

    /// Goes on to the next exchange if this one is over.
    #[inline]
    pub(super) fn start_next(&mut self) {
        self.facts.ready = true;
        self.settle();
        self.facts.ready = false;
    }

    #[inline]
    fn settle(&mut self) {
        while let Some(states) = follows(self.states, &self.facts) {
            self.states = states;
        }
    }
}
