//! The servers of each runtime, as a raw client sees them.

use super::load::Exchanger;
use super::raw::{self, Raw, upgrade};
use super::{Contestant, Group, Result, ready};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use tidewire_runtime::ws::{self, Event, handshake::ServerOptions};
use tidewire_runtime::{Exchange, HandlerError, Runtime, SendRuntime, Server};

/// Each runtime's servers, with a client each.
pub(super) fn groups() -> Result<Vec<Group>> {
    let smol = [("raw", raw_smol as fn() -> Result<SocketAddr>), ("tidewire", smol)];
    let async_std = [("raw", raw_async_std as fn() -> _), ("tidewire", async_std)];
    let tokio = [("raw", raw_tokio as fn() -> _), ("tidewire", tokio)];
    Ok(vec![group("smol", smol)?, group("async-std", async_std)?, group("tokio", tokio)?])
}

/// Starts a server, on a port of its own.
type Start = fn() -> Result<SocketAddr>;

fn group<const N: usize>(runtime: &str, servers: [(&str, Start); N]) -> Result<Group> {
    servers
        .into_iter()
        .map(|(name, start)| {
            let socket = TcpStream::connect(start()?)?;
            socket.set_nodelay(true)?;
            let mut client = Exchanger::new(Raw::new(ready(upgrade(socket))?));
            Ok(Contestant::new(runtime, name, move |load, times| ready(client.turn(load, times))))
        })
        .collect()
}

fn smol() -> Result<SocketAddr> {
    let server = ::smol::block_on(bind(tidewire_smol::Smol))?;
    start(server, |server| ::smol::block_on(serve(server)))
}

fn async_std() -> Result<SocketAddr> {
    let server = ::async_std::task::block_on(bind(tidewire_async_std::AsyncStd))?;
    start(server, |server| ::async_std::task::block_on(serve(server)))
}

fn tokio() -> Result<SocketAddr> {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = runtime.block_on(bind(tidewire_tokio::Tokio))?;
    start(server, move |server| runtime.block_on(serve(server)))
}

async fn bind<R: Runtime>(runtime: R) -> Result<Server<R>> {
    Ok(Server::bind(runtime, "127.0.0.1:0".parse()?).await?)
}

fn start<R: Runtime<Listener: Send> + Send>(
    server: Server<R>,
    run: impl FnOnce(Server<R>) -> std::io::Result<()> + Send + 'static,
) -> Result<SocketAddr> {
    let address = server.local_addr()?;
    thread::spawn(move || run(server).expect("the server"));
    Ok(address)
}

async fn serve<R: SendRuntime>(server: Server<R>) -> std::io::Result<()> {
    server.serve(echo).await
}

async fn echo<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
    let mut socket = exchange.websocket(&ServerOptions::new(), ws::Config::default()).await?;
    socket
        .run(|event, reply| match event {
            Event::Binary(data) => reply.send_binary(data),
            _ => Ok(()),
        })
        .await?;
    Ok(())
}

/// A listener, for whoever has no use for it but to be given a connection.
fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn raw_smol() -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    thread::spawn(move || {
        let socket = ::smol::Async::new(accept(&listener).expect("a client")).expect("a socket");
        let task = async { raw::serve(socket).await.is_ok() };
        // In a task, as tidewire's are.
        ::smol::block_on(::smol::spawn(task))
    });
    Ok(address)
}

fn raw_async_std() -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    thread::spawn(move || {
        let socket = accept(&listener).expect("a client");
        let task = async { raw::serve(::async_std::net::TcpStream::from(socket)).await.is_ok() };
        ::async_std::task::block_on(::async_std::task::spawn(task))
    });
    Ok(address)
}

fn raw_tokio() -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        let socket = accept(&listener).expect("a client");
        let task = async {
            raw::serve(::tokio::net::TcpStream::from_std(socket).expect("a socket")).await.is_ok()
        };
        runtime.block_on(async { ::tokio::spawn(task).await })
    });
    Ok(address)
}
