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
///
/// Solid arrows are what the party does: `Request`, `Interim` and final `Response` are heads, `End` is
/// the end of a message, `Switch` is a `101` or a success in answer to CONNECT. Dashed arrows follow
/// from what the other party does. Any state leads to [`Error`](Self::Error).
///
/// # The client
///
#[doc = include_str!("../manual/http_states_client.svg")]
///
/// # The server
///
#[doc = include_str!("../manual/http_states_server.svg")]
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
        #[inline(always)]
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
    Always:    Done        MustClose    => MustClose   MustClose
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
        // RFC 9110, 7.8: a server switches when it is asked to, behind the whole request.
        let asked = matches!(self.states.client, State::MightSwitch);
        behind(party, state, step).is_some() && (asked || !matches!(step, Step::Switch))
    }

    /// `party` does this, if it may. Inlined, where `party` and `step` are known, it is a comparison.
    #[inline(always)]
    pub(super) fn step(&mut self, party: Party, step: Step) {
        debug_assert!(self.allows(party, step), "{party:?} does {step:?}: {}", self.states);
        let state = self.of(party);
        match behind(party, *state, step) {
            Some(next) if next != *state => {
                *state = next;
                self.settle();
            }
            _ => {}
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
    pub(super) fn propose(&mut self, proposed: bool) {
        if self.facts.proposed != proposed {
            self.facts.proposed = proposed;
            self.settle();
        }
    }

    /// Whether there is a further request behind the one under way.
    #[inline]
    pub(super) fn pipeline(&mut self, pipelined: bool) {
        self.facts.pipelined = pipelined;
        self.settle();
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::String;
    use alloc::vec::Vec;

    const STATES: [State; 9] = [
        State::Idle,
        State::SendResponse,
        State::SendBody,
        State::Done,
        State::MightSwitch,
        State::Switched,
        State::MustClose,
        State::Closed,
        State::Error,
    ];

    /// Everywhere that the tables lead, from any facts and by any steps.
    fn reachable() -> Vec<Tracker> {
        let mut found = alloc::vec![Tracker::new()];
        let mut seen = BTreeSet::from([key(&found[0])]);
        let mut at = 0;
        while at < found.len() {
            let from = found[at].clone();
            at += 1;
            let steps = STEPS.iter().filter(|row| from.allows(row.0, row.2));
            let mut next: Vec<Tracker> = steps
                .map(|row| {
                    let mut to = from.clone();
                    to.step(row.0, row.2);
                    to
                })
                .collect();
            for change in [
                |t: &mut Tracker| t.close(CloseReason::Shutdown),
                |t: &mut Tracker| t.propose(true),
                |t: &mut Tracker| t.propose(false),
                |t: &mut Tracker| t.pipeline(true),
                |t: &mut Tracker| t.pipeline(false),
                Tracker::start_next,
            ] {
                let mut to = from.clone();
                change(&mut to);
                next.push(to);
            }
            for to in next {
                if seen.insert(key(&to)) {
                    found.push(to);
                }
            }
        }
        found
    }

    fn key(it: &Tracker) -> String {
        alloc::format!("{} {:?}", it.states, it.facts)
    }

    #[test]
    fn each_step_leads_to_one_state() {
        for (index, row) in STEPS.iter().enumerate() {
            assert_eq!(behind(row.0, row.1, row.2), Some(row.3));
            let same = |other: &&(Party, State, Step, State)| {
                (other.0, other.1, other.2) == (row.0, row.1, row.2)
            };
            assert_eq!(STEPS[index + 1..].iter().find(same), None);
        }
    }

    #[test]
    fn states_settle_and_nothing_leads_out_of_an_error() {
        for it in reachable() {
            assert_eq!(follows(it.states, &it.facts), None, "{}", key(&it));
        }
        for (party, step) in STEPS.iter().map(|row| (row.0, row.2)) {
            for over in [State::Error, State::Closed, State::Switched] {
                assert_eq!(behind(party, over, step), None);
            }
        }
        for state in STATES {
            for states in [
                States { client: State::Error, server: state },
                States { client: state, server: State::Error },
            ] {
                let facts = Facts { close: None, proposed: true, pipelined: true, ready: true };
                assert_eq!(follows(states, &facts), None);
            }
        }
    }

    #[test]
    fn a_party_can_always_go_on_or_close() {
        for it in reachable() {
            let able = |party| STEPS.iter().any(|row| row.0 == party && it.allows(party, row.2));
            let States { client, server } = it.states;
            let over = |state| matches!(state, State::Closed | State::Switched);
            assert!(able(Party::Server) || over(server), "{}", key(&it));
            assert!(able(Party::Client) || over(client), "{}", key(&it));
        }
    }

    #[test]
    fn a_request_is_answered_before_another_protocol_or_exchange_begins() {
        for States { client, server } in reachable().into_iter().map(|it| it.states) {
            let both = alloc::format!("client {client:?}, server {server:?}");
            assert!(server != State::Switched || client == State::Switched, "{both}");
            assert!(client != State::Switched || server == State::Switched, "{both}");
            if client == State::MightSwitch {
                assert!(matches!(server, State::SendResponse | State::Closed), "{both}");
            }
            if server == State::MustClose {
                let ends = [State::SendBody, State::MustClose, State::Closed];
                assert!(ends.contains(&client), "{both}");
            }
            if client == State::Idle {
                // Nothing is due; or what is wrong with a request is told before there is one.
                let refusal = [State::SendBody, State::Done, State::MustClose, State::Closed];
                assert!(server == State::Idle || refusal.contains(&server), "{both}");
            }
        }
    }

    /// A diagram of `party`'s states, for Graphviz.
    fn diagram(party: Party) -> String {
        let mut dot = alloc::format!("digraph {party:?} {{\n");
        dot += "  graph [fontname=\"sans-serif\" bgcolor=white pad=0.2 nodesep=0.4]\n";
        dot +=
            "  node [shape=box style=\"rounded,filled\" fillcolor=white fontname=\"sans-serif\"]\n";
        dot += "  edge [fontname=\"sans-serif\" fontsize=11]\n";
        let mut edges = BTreeSet::new();
        for (_, from, step, to) in STEPS.iter().filter(|row| row.0 == party) {
            edges.insert(alloc::format!("  {from:?} -> {to:?} [label=\"{step:?}\"]\n"));
        }
        for (when, from, to) in TOGETHER {
            let (own, other, then) = match party {
                Party::Client => (from.client, from.server, to.client),
                Party::Server => (from.server, from.client, to.server),
            };
            if own == then {
                continue;
            }
            let peer = match party {
                Party::Client => "server",
                Party::Server => "client",
            };
            let when = match when {
                When::Always => String::new(),
                when => alloc::format!("{when:?}, ").to_lowercase(),
            };
            edges.insert(alloc::format!(
                "  {own:?} -> {then:?} [label=\"{when}{peer} {other:?}\" style=dashed color=gray40 fontcolor=gray30]\n"
            ));
        }
        edges.into_iter().for_each(|edge| dot += &edge);
        dot + "}\n"
    }

    /// Set `TIDEWIRE_DRAW` to a folder to have the diagrams written there.
    #[test]
    fn the_diagrams_are_those_of_the_tables() {
        extern crate std;
        let drawn = [
            (
                "client",
                diagram(Party::Client),
                include_str!("../manual/http_states_client.dot"),
                include_str!("../manual/http_states_client.svg"),
            ),
            (
                "server",
                diagram(Party::Server),
                include_str!("../manual/http_states_server.dot"),
                include_str!("../manual/http_states_server.svg"),
            ),
        ];
        for (name, diagram, kept, picture) in drawn {
            if let Some(folder) = std::env::var_os("TIDEWIRE_DRAW") {
                let file = alloc::format!("http_states_{name}.dot");
                let path = std::path::Path::new(&folder).join(file);
                std::fs::write(path, &diagram).expect("the folder can be written to");
                continue;
            }
            assert_eq!(diagram, kept, "run docs/draw");
            let arrows = diagram.lines().filter(|line| line.contains("->"));
            assert_eq!(picture.matches("class=\"edge\"").count(), arrows.clone().count());
            for arrow in arrows {
                let arrow = arrow.trim().split(" [").next().unwrap_or_default();
                let title = arrow.replace(" -> ", "&#45;&gt;");
                assert!(picture.contains(&title), "{arrow} is not in the picture: run docs/draw");
            }
        }
    }
}
