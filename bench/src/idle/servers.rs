//! Servers that take WebSocket connections and, most of them, subscribers of an event stream.

use super::Result;
use crate::echo::frames::accept;
use crate::echo::raw::Socket;
use axum::extract::ws::{WebSocket as AxumWebSocket, WebSocketUpgrade};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures::StreamExt as _;
use std::net::SocketAddr;
use std::thread;
use tidewire_runtime::ws::{self, handshake::ServerOptions};
use tidewire_runtime::{
    Broadcast, Exchange, HandlerError, Runtime, SendRuntime, Server, ServerConfig,
};
use tokio::sync::broadcast;

/// One that takes part.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    /// Whether it serves event streams as well.
    pub(super) streams: bool,
    /// Starts it, each on one thread that runs its tasks.
    pub(super) start: fn() -> Result<SocketAddr>,
}

const fn with(name: &'static str, streams: bool, start: fn() -> Result<SocketAddr>) -> Contestant {
    Contestant { name, streams, start }
}

pub(super) const SERVERS: [Contestant; 9] = [
    with("smol: bare task", true, bare_smol),
    with("smol: tidewire", true, || start(tidewire_smol::Smol, smol::block_on)),
    with("async-std: bare task", true, bare_async_std),
    with("async-std: tidewire", true, || {
        start(tidewire_async_std::AsyncStd, async_std::task::block_on)
    }),
    with("tokio: bare task", true, || on_tokio(bare)),
    with("tokio: tidewire", true, || start(tidewire_tokio::Tokio, |it| tokio()?.block_on(it))),
    with("tokio-tungstenite", false, || on_tokio(tungstenite)),
    with("fastwebsockets", false, || on_tokio(fastwebsockets)),
    with("axum", true, axum),
];

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// Answers, and waits for a byte that never comes.
async fn bare(mut socket: impl Socket) -> Result<()> {
    answer(&mut socket).await?;
    while socket.read(&mut [0]).await? > 0 {}
    Ok(())
}

/// Answers a request for an upgrade or for an event stream. Nothing of it is left when it was.
async fn answer(socket: &mut impl Socket) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).await? == 0 {
            return Err("no request".into());
        }
        head.extend(byte);
    }
    match accept(&head) {
        Some(response) => socket.write_all(response.as_bytes()).await?,
        None => socket.write_all(STREAM).await?,
    }
    Ok(())
}

fn listen() -> Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn bare_smol() -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    let listener = smol::Async::new(listener)?;
    thread::spawn(move || {
        smol::block_on(async {
            while let Ok((socket, _)) = listener.accept().await {
                smol::spawn(async { drop(bare(socket).await) }).detach();
            }
        });
    });
    Ok(address)
}

fn bare_async_std() -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    let listener = async_std::net::TcpListener::from(listener);
    thread::spawn(move || {
        async_std::task::block_on(async {
            while let Ok((socket, _)) = listener.accept().await {
                async_std::task::spawn(async { drop(bare(socket).await) });
            }
        });
    });
    Ok(address)
}

fn tokio() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A task of tokio's for each connection.
fn on_tokio<F: Future<Output = Result<()>> + Send + 'static>(
    serve: fn(tokio::net::TcpStream) -> F,
) -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    thread::spawn(move || {
        tokio()?.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true)?;
                tokio::spawn(async move { drop(serve(socket).await) });
            }
            std::io::Result::Ok(())
        })
    });
    Ok(address)
}

async fn tungstenite(socket: tokio::net::TcpStream) -> Result<()> {
    let mut socket = tokio_tungstenite::accept_async(socket).await?;
    while let Some(message) = socket.next().await {
        message?;
    }
    Ok(())
}

async fn fastwebsockets(mut socket: tokio::net::TcpStream) -> Result<()> {
    answer(&mut socket).await?;
    let socket = fastwebsockets::WebSocket::after_handshake(socket, fastwebsockets::Role::Server);
    let mut socket = fastwebsockets::FragmentCollector::new(socket);
    loop {
        socket.read_frame().await?;
    }
}

fn axum() -> Result<SocketAddr> {
    let (listener, address) = listen()?;
    let (events, _) = broadcast::channel::<Event>(1024);
    let subscribe = move || {
        let events = tokio_stream::wrappers::BroadcastStream::new(events.subscribe());
        async { Sse::new(events).keep_alive(KeepAlive::default()) }
    };
    let upgrade = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket: AxumWebSocket| async move {
            while let Some(Ok(_)) = socket.recv().await {}
        })
    };
    let app = axum::Router::new().route("/events", get(subscribe)).route("/", get(upgrade));
    thread::spawn(move || {
        tokio()?.block_on(async {
            axum::serve(tokio::net::TcpListener::from_std(listener)?, app).await
        })
    });
    Ok(address)
}

/// A server that runs.
type Serving = std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>>>>;

fn start<R: SendRuntime<Listener: Send>>(
    runtime: R,
    block_on: fn(Serving) -> std::io::Result<()>,
) -> Result<SocketAddr> {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        block_on(Box::pin(async move {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let config = ServerConfig { max_connections: 100_000, ..ServerConfig::default() };
            let server =
                Server::bind_with(runtime, any, config).await.map_err(std::io::Error::other)?;
            // Whoever waits for it has not gone.
            let _ = sender.send(server.local_addr()?);
            serve(server).await
        }))
    });
    Ok(receiver.recv()?)
}

async fn serve<R: Runtime + SendRuntime>(server: Server<R>) -> std::io::Result<()> {
    let hub = Broadcast::default();
    server.serve(move |exchange| wait(exchange, hub.clone())).await
}

async fn wait<R: SendRuntime>(exchange: Exchange<R>, hub: Broadcast) -> Result<(), HandlerError> {
    if exchange.wants_websocket() {
        let mut socket = exchange.websocket(&ServerOptions::new(), ws::Config::default()).await?;
        while socket.next().await.is_some() {}
    } else {
        hub.serve(exchange, "tide").await?;
    }
    Ok(())
}
