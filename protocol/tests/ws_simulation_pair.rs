//! Two ends of a connection over a link that splits, delays, stalls, falls silent and breaks, in
//! virtual time that jumps to whatever is due next. Everything is drawn from a seed.

#[path = "ws_simulation/end.rs"]
mod end;
#[path = "ws_simulation/link.rs"]
mod link;

use core::time::Duration;
use end::End;
use link::{Chance, Wire};
use std::cmp::Reverse;
use tidewire::ws::{CloseCode, Closed, Config, Connection, Delivery, Initiator, Negotiated};
use tidewire::{Instant, Seed};

/// What happens to the link, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing, and each piece takes the same time.
    None,
    /// Nothing, but one end does not read for a while, now and then.
    Stalls,
    /// Both streams end, and what is on its way is lost.
    Cut,
    /// Nothing arrives any more, and nobody is told.
    Silence,
    /// One stream ends behind what is on its way.
    HalfClose,
}

struct World {
    now: Instant,
    chance: Chance,
    ends: [End; 2],
    /// From the first end to the second, and back.
    wires: [Wire; 2],
    /// Neither end gives a working link up.
    patient: bool,
    fault: Fault,
    fault_at: Instant,
    /// Until then there are commands; afterwards both ends close.
    until: Instant,
    next_command: Option<Instant>,
    /// The largest pause between two commands, in milliseconds.
    pause: u64,
    steps: u64,
}

/// `pause` is the largest one between two commands: not much more than a few pings come in it. The
/// `patient` wait longer than any link takes that works.
fn config(pause: u64, patient: bool, chance: &mut Chance) -> Config {
    let least = Duration::from_secs(if patient { 300 } else { 0 });
    let interval = Duration::from_millis(pause / 10) + chance.millis(1_000_000);
    let high = chance.magnitude(20_000) as usize;
    Config {
        max_message: end::MAX_MESSAGE,
        delivery: chance.pick(&[Delivery::Whole, Delivery::Streaming]),
        send_high_water: high,
        send_low_water: chance.below(high as u64) as usize,
        ping_interval: (!chance.one_in(4)).then_some(interval),
        pong_timeout: least + chance.millis(100_000),
        close_timeout: least + chance.millis(100_000),
        idle_timeout: (!patient && chance.one_in(3)).then(|| chance.millis(1_000_000)),
        write_timeout: (!chance.one_in(3)).then(|| least + chance.millis(100_000)),
        ..Config::default()
    }
}

/// What the opening handshake agreed on, as the client and the server have it.
#[cfg(feature = "deflate")]
fn agreement(chance: &mut Chance) -> [Negotiated; 2] {
    use tidewire::ws::{DeflateConfig, DeflateParams};
    if chance.one_in(2) {
        return [Negotiated::default(); 2];
    }
    let params = DeflateParams {
        server_no_context_takeover: chance.one_in(3),
        client_no_context_takeover: chance.one_in(3),
        server_max_window_bits: 8 + chance.below(8) as u8,
        client_max_window_bits: 8 + chance.below(8) as u8,
    };
    [(); 2].map(|()| {
        let (level, threshold) = (1 + chance.below(9) as u8, chance.below(200) as usize);
        let config = DeflateConfig { level, threshold, ..DeflateConfig::default() };
        Negotiated::default().with_deflate(params, &config)
    })
}

#[cfg(not(feature = "deflate"))]
fn agreement(_: &mut Chance) -> [Negotiated; 2] {
    [Negotiated::default(); 2]
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let now = Instant::EPOCH;
        let faults = [Fault::None, Fault::Stalls, Fault::Cut, Fault::Silence, Fault::HalfClose];
        let fault = chance.pick(&faults);
        let wires = [(); 2].map(|()| {
            let mut wire = Wire::default();
            wire.latency = chance.millis(2000);
            wire.jitter = if fault == Fault::None { 0 } else { chance.magnitude(3000) };
            wire.piece = 10 + chance.magnitude(5000);
            wire.window = 1000 + chance.magnitude(50_000) as usize;
            wire
        });
        let pause = 10 + chance.magnitude(20_000_000);
        let patient = !chance.one_in(4);
        let [first, second] = [(); 2].map(|()| config(pause, patient, &mut chance));
        let key = Seed::new([seed as u8; 32]);
        let agreed = agreement(&mut chance);
        let ends = [
            End::new(Connection::client(first, agreed[0], &key, now), first),
            End::new(Connection::server(second, agreed[1], now), second),
        ];
        let life = Duration::from_millis(pause) * 40;
        let fault_at = now + Duration::from_millis(chance.below(life.as_millis() as u64));
        let until = now + life;
        let next_command = Some(now);
        Self {
            now,
            chance,
            ends,
            wires,
            patient,
            fault,
            fault_at,
            until,
            next_command,
            pause,
            steps: 0,
        }
    }

    /// Runs until both ends are over. Returns how long that was.
    fn run(&mut self) -> Duration {
        loop {
            self.exchange();
            for end in &self.ends {
                end.check(self.now);
            }
            if self.fault == Fault::None {
                self.check_latency();
            }
            if self.ends.iter().all(|end| end.closed.is_some()) {
                return self.now - Instant::EPOCH;
            }
            let Some(next) = self.next() else {
                panic!("nothing is due, and the connection is not over: {:#?}", self.ends);
            };
            assert!(next >= self.now, "a deadline stays");
            self.now = next;
            self.steps += 1;
            assert!(self.steps < 200_000, "no end: {:#?}", self.ends);
            self.meddle();
        }
    }

    /// When something is due.
    fn next(&self) -> Option<Instant> {
        let ends = self.ends.iter().map(|end| end.conn.poll_timeout());
        let wires = self.wires.iter().map(Wire::next);
        let fault = (self.fault_at > self.now).then_some(self.fault_at);
        ends.chain(wires).chain([self.next_command, fault]).flatten().min()
    }

    /// Everything that can be done now.
    fn exchange(&mut self) {
        let mut rounds = 0;
        // Deadlines come behind what was received up to them.
        while (0..2).any(|who| self.exchange_at(who)) || (0..2).any(|who| self.expire_at(who)) {
            rounds += 1;
            assert!(rounds < 10_000, "no end at {:?}: {:#?}", self.now, self.ends);
        }
    }

    /// What arrives is received, what waits leaves. Returns whether that was anything.
    fn exchange_at(&mut self, who: usize) -> bool {
        let (end, from) = (&mut self.ends[who], &mut self.wires[1 - who]);
        let mut arrived = false;
        if end.closed.is_some() {
            from.discard();
        } else if from.deliver(&mut end.rx, self.now) {
            arrived = true;
            end.heard = self.now;
        }
        let taken = self.take(who);
        self.ends[who].leave(self.now, &mut self.wires[who], &mut self.chance) || arrived || taken
    }

    fn expire_at(&mut self, who: usize) -> bool {
        self.ends[who].handle_timeout(self.now);
        let taken = self.take(who);
        self.ends[who].leave(self.now, &mut self.wires[who], &mut self.chance) || taken
    }

    /// Takes what there is. Returns whether that was anything.
    fn take(&mut self, who: usize) -> bool {
        let [first, second] = &mut self.ends;
        let (end, other) = if who == 0 { (first, second) } else { (second, first) };
        let mut taken = false;
        while end.take(other, self.now, &mut self.chance) {
            taken = true;
        }
        taken
    }

    /// Whatever is due that is not of the ends' own making.
    fn meddle(&mut self) {
        let now = self.now;
        if now == self.fault_at {
            self.break_link();
        }
        if self.next_command.is_some_and(|at| at <= now) {
            let who = self.chance.below(2) as usize;
            let [first, second] = &mut self.ends;
            let (end, other) = if who == 0 { (first, second) } else { (second, first) };
            if now < self.until {
                end.command(other, now, &mut self.chance);
            } else {
                end.close(CloseCode::GOING_AWAY, "until", now);
                other.close(CloseCode::NORMAL, "until", now);
            }
            let over = now >= self.until;
            self.next_command = (!over).then(|| now + self.chance.millis(self.pause));
            if self.fault == Fault::Stalls && self.chance.one_in(3) {
                self.wires[who].stalled_until = Some(now + self.chance.millis(100_000));
            }
        }
    }

    fn break_link(&mut self) {
        let (now, chance) = (self.now, &mut self.chance);
        match self.fault {
            Fault::None | Fault::Stalls => {}
            Fault::Cut => self.wires.iter_mut().for_each(|wire| wire.cut(now, chance)),
            Fault::Silence => self.wires.iter_mut().for_each(|wire| wire.silent = true),
            Fault::HalfClose => {
                let who = chance.below(2) as usize;
                self.wires[who].end(now, chance);
            }
        }
    }

    /// Without stalls and jitter a ping is answered after the time that both ways take, unless the
    /// answer has to wait for room or the closing handshake has begun.
    fn check_latency(&self) {
        let both_ways = self.wires[0].latency + self.wires[1].latency;
        for end in &self.ends {
            assert!(end.measured.is_none_or(|lasted| lasted == both_ways), "another round trip");
        }
        for (end, other) in [(0, 1), (1, 0)] {
            let [end, other] = [end, other].map(|who| &self.ends[who]);
            if let Some((_, sent)) =
                end.pings.front().filter(|_| end.config.ping_interval.is_none())
            {
                let crowded = end.crowded.max(other.crowded);
                let since = crowded.map_or(*sent, |at| at.max(*sent));
                let closing = end.closing.is_some() || other.closing.is_some();
                assert!(
                    closing || self.now <= since + both_ways,
                    "a ping of {sent:?} without an answer at {:?}: {both_ways:?} {crowded:?} {:#?}",
                    self.now,
                    self.ends
                );
            }
        }
    }

    /// Both ends have told how it ended. Do the stories fit?
    fn check_end(&self) {
        let [first, second] = [0, 1].map(|who| self.ends[who].closed.as_ref().unwrap());
        if self.patient && matches!(self.fault, Fault::None | Fault::Stalls) {
            assert!(first.0.is_clean() && second.0.is_clean(), "{first:?} {second:?}");
        }
        let clean = |(why, reason): &(Closed, String)| match *why {
            Closed::Clean { code, initiator } => Some((code, initiator, reason.clone())),
            _ => None,
        };
        let sent = [0, 1].map(|who| self.ends[who].sent_close.clone());
        match (clean(first), clean(second)) {
            (Some((a, by_a, why_a)), Some((b, by_b, why_b))) => match (by_a, by_b) {
                (Initiator::Local, Initiator::Local) => {
                    assert_eq!([Some((b, why_b)), Some((a, why_a))], sent, "closes that crossed");
                }
                (Initiator::Remote, Initiator::Remote) => panic!("nobody began"),
                (Initiator::Local, Initiator::Remote) => {
                    assert_eq!((&a, &why_a), (&b, &why_b), "an echo");
                    assert_eq!(sent[0], Some((b, why_b)));
                }
                (Initiator::Remote, Initiator::Local) => {
                    assert_eq!((&a, &why_a), (&b, &why_b), "an echo");
                    assert_eq!(sent[1], Some((a, why_a)));
                }
            },
            // The last Close or the end of the stream behind it may be lost.
            (Some(_), None) | (None, Some(_)) => {
                assert!(!matches!(first.0, Closed::Protocol(_)), "{first:?}");
                assert!(!matches!(second.0, Closed::Protocol(_)), "{second:?}");
            }
            (None, None) => {}
        }
    }
}

/// One run, and what can be told of it.
fn life(seed: u64) -> (Duration, Fault, [Closed; 2], Vec<String>) {
    let mut world = World::new(seed);
    let lasted = world.run();
    world.check_end();
    for end in &mut world.ends {
        end.check_over(world.now);
    }
    let [first, second] = world.ends;
    let ends = [first.closed.unwrap().0, second.closed.unwrap().0];
    (lasted, world.fault, ends, [first.log, second.log].concat())
}

#[test]
fn connections_live_for_millions_of_virtual_seconds() {
    let mut time = Duration::ZERO;
    let mut ends = std::collections::BTreeMap::new();
    for seed in 0..SEEDS {
        let (lasted, fault, closed, _) = life(seed);
        time += lasted;
        for why in closed {
            let name = format!("{why:?}");
            let name = name.split([' ', '(']).next().unwrap().to_owned();
            *ends.entry((format!("{fault:?}"), name)).or_insert(0_u64) += 1;
        }
    }
    println!("{} virtual seconds", time.as_secs());
    let mut counts: Vec<_> = ends.iter().collect();
    counts.sort_by_key(|(_, n)| Reverse(**n));
    counts.iter().for_each(|count| println!("{count:?}"));
    assert!(time.as_secs() >= 2_000_000);
    // Each way to end was seen, and none that blames a peer that did nothing wrong.
    let seen = |why: &str| ends.keys().any(|(_, name)| name == why);
    let ways = ["Clean", "Eof", "PongTimeout", "IdleTimeout", "WriteTimeout", "CloseTimeout"];
    assert!(ways.into_iter().all(seen));
    assert!(!seen("Protocol"));
}

const SEEDS: u64 = 400;

#[test]
fn a_run_repeats_event_for_event() {
    for seed in 0..40 {
        assert_eq!(life(seed), life(seed));
    }
}
