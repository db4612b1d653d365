//! What a connection costs a server while nothing happens: WebSockets, and subscribers of an event stream.
//!
//! Each server is a process of its own. What a bare task with a socket costs on the same runtime is what
//! no server can go below.

mod servers;

use crate::echo::frames::REQUEST;
use crate::fanout::crowd::{ask, subscribe};
use crate::fanout::process::{Process, allow_many_sockets};
use std::error::Error;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Connections that come and stay before those that are counted: tables, threads and the allocator's
/// areas are there then.
const BEFORE: usize = 200;
/// Until buffers that are not in use were given back.
const REST: Duration = Duration::from_secs(2);

/// What `bench idle` takes.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    connections: usize,
    /// Only servers whose name has this in it.
    who: String,
}

impl Options {
    pub(crate) fn parse(mut args: pico_args::Arguments) -> Result<Self> {
        let options = Self {
            connections: args.opt_value_from_str("--connections")?.unwrap_or(10_000),
            who: args.opt_value_from_str("--who")?.unwrap_or_default(),
        };
        let rest = args.finish();
        if !rest.is_empty() {
            return Err(format!("what is {rest:?}?").into());
        }
        Ok(options)
    }
}

/// Prints the bytes that connections of each server take.
pub(crate) fn run(options: &Options) -> Result<()> {
    allow_many_sockets()?;
    let count = options.connections;
    for (what, connect) in [
        ("WebSocket connection", upgrade as fn(SocketAddr) -> Result<TcpStream>),
        ("subscriber of an event stream", subscribe),
    ] {
        println!("\nbytes an idle {what}, of {count}");
        println!("  {:24} {:>10} {:>10}", "", "resident", "heap");
        let named = servers::SERVERS.iter().filter(|it| it.name.contains(&options.who));
        for it in named.filter(|it| it.streams || what.starts_with("WebSocket")) {
            let mut process = Process::start("idle-serve", it.name)?;
            let address = process.address();
            let connect_many =
                |count| (0..count).map(|_| connect(address)).collect::<Result<Vec<_>>>();
            let early = connect_many(BEFORE)?;
            thread::sleep(REST);
            let before = (process.resident()?, process.held()?);
            let late = connect_many(count)?;
            thread::sleep(REST);
            let after = (process.resident()?, process.held()?);
            let each = |before: usize, after: usize| after.saturating_sub(before) / count;
            let (resident, heap) = (each(before.0, after.0), each(before.1, after.1));
            println!("  {:24} {resident:10} {heap:10}", it.name);
            drop((early, late));
        }
    }
    Ok(())
}

fn upgrade(address: SocketAddr) -> Result<TcpStream> {
    let (stream, head) = ask(address, REQUEST)?;
    if !head.starts_with("http/1.1 101 ") {
        return Err(format!("no upgrade: {head}").into());
    }
    Ok(stream)
}

/// Runs the server of that name until stdin ends, and says how much heap there is in use whenever it is
/// asked.
pub(crate) fn serve(name: &str, held: fn() -> usize) -> Result<()> {
    allow_many_sockets()?;
    let server = servers::SERVERS.iter().find(|it| it.name == name).ok_or("no such server")?;
    let address = (server.start)()?;
    let mut out = stdout();
    writeln!(out, "{address}")?;
    for line in stdin().lock().lines() {
        line?;
        writeln!(out, "{}", held())?;
    }
    Ok(())
}
