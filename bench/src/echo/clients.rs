//! The clients of each runtime.

use super::load::{Client, Exchanger};
use super::raw::{self, Raw, upgrade};
use super::{Contestant, Group, Result};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use std::net::SocketAddr;
use tidewire_runtime::{Runtime, WebSocket, ws};
use tungstenite::{Message, protocol::Role};

/// Each runtime's clients, connected to one raw server.
pub(super) fn groups() -> Result<Vec<Group>> {
    let server = raw::start()?;
    Ok(vec![smol(server)?, async_std(server)?, tokio(server)?])
}

/// A contestant: how its client connects, and what waits for its futures.
macro_rules! contestants {
    ($runtime:literal, $block_on:expr; $($name:literal => $connect:expr,)+) => {{
        let block_on = $block_on;
        Ok(vec![$({
            let client = block_on.on(async { Ok::<_, Box<dyn std::error::Error>>($connect) })?;
            let (mut exchanger, block_on) = (Exchanger::new(client), block_on.clone());
            Contestant::new($runtime, $name, move |load, times| {
                block_on.on(exchanger.turn(load, times))
            })
        },)+])
    }};
}

fn smol(server: SocketAddr) -> Result<Group> {
    // What `smol::net::TcpStream` is made of.
    use ::smol::Async;
    let connect = || async move {
        let socket = Async::<std::net::TcpStream>::connect(server).await?;
        socket.get_ref().set_nodelay(true)?;
        upgrade(socket).await
    };
    contestants! {
        "smol", Smol;
        "raw" => Raw::new(connect().await?),
        "tidewire" => tidewire(tidewire_smol::Smol, server).await?,
        "async-tungstenite" => Tungstenite(
            async_tungstenite::WebSocketStream::from_raw_socket(connect().await?, Role::Client, None).await,
        ),
    }
}

fn async_std(server: SocketAddr) -> Result<Group> {
    use ::async_std::net::TcpStream;
    let connect = || async move {
        let socket = TcpStream::connect(server).await?;
        socket.set_nodelay(true)?;
        upgrade(socket).await
    };
    contestants! {
        "async-std", AsyncStd;
        "raw" => Raw::new(connect().await?),
        "tidewire" => tidewire(tidewire_async_std::AsyncStd, server).await?,
        "async-tungstenite" => Tungstenite(
            async_tungstenite::WebSocketStream::from_raw_socket(connect().await?, Role::Client, None).await,
        ),
    }
}

fn tokio(server: SocketAddr) -> Result<Group> {
    use ::tokio::net::TcpStream;
    let connect = || async move {
        let socket = TcpStream::connect(server).await?;
        socket.set_nodelay(true)?;
        upgrade(socket).await
    };
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    contestants! {
        "tokio", Tokio(std::rc::Rc::new(runtime));
        "raw" => Raw::new(connect().await?),
        "tidewire" => tidewire(tidewire_tokio::Tokio, server).await?,
        "tokio-tungstenite" => Tungstenite(
            tokio_tungstenite::WebSocketStream::from_raw_socket(connect().await?, Role::Client, None).await,
        ),
        "tokio-websockets" => TokioWebSockets(
            tokio_websockets::ClientBuilder::new().take_over(connect().await?),
        ),
        "fastwebsockets" => FastWebSockets(fastwebsockets::FragmentCollector::new(
            fastwebsockets::WebSocket::after_handshake(connect().await?, fastwebsockets::Role::Client),
        )),
    }
}

#[derive(Clone)]
struct Smol;
#[derive(Clone)]
struct AsyncStd;
#[derive(Clone)]
struct Tokio(std::rc::Rc<::tokio::runtime::Runtime>);

impl Smol {
    fn on<T>(&self, future: impl Future<Output = T>) -> T {
        ::smol::block_on(future)
    }
}

impl AsyncStd {
    fn on<T>(&self, future: impl Future<Output = T>) -> T {
        ::async_std::task::block_on(future)
    }
}

impl Tokio {
    fn on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

async fn tidewire<R: Runtime>(runtime: R, server: SocketAddr) -> Result<Tidewire<R>> {
    let request = ws::handshake::Request::new(&format!("ws://{server}"))?;
    Ok(Tidewire(WebSocket::connect(runtime, &request, ws::Config::default()).await?.0))
}

struct Tidewire<R: Runtime>(WebSocket<R>);

impl<R: Runtime> Client for Tidewire<R> {
    async fn queue(&mut self, payload: &Bytes) -> Result<()> {
        Ok(self.0.queue_binary(payload)?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, look: impl FnOnce(&[u8])) -> Result<()> {
        loop {
            match self.0.next().await {
                Some(ws::Event::Binary(message)) => {
                    look(message);
                    return Ok(());
                }
                Some(ws::Event::Drained) => {}
                event => return Err(format!("{event:?}").into()),
            }
        }
    }
}

/// tungstenite over a stream of any runtime: both crates have the same `Stream` and `Sink`.
struct Tungstenite<S>(S);

impl<S, E> Client for Tungstenite<S>
where
    S: futures::Sink<Message, Error = E> + futures::Stream<Item = Result<Message, E>> + Unpin,
    E: std::error::Error + 'static,
{
    async fn queue(&mut self, payload: &Bytes) -> Result<()> {
        Ok(self.0.feed(Message::Binary(payload.clone())).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, look: impl FnOnce(&[u8])) -> Result<()> {
        match self.0.next().await {
            Some(Ok(Message::Binary(message))) => look(&message),
            message => return Err(format!("{message:?}").into()),
        }
        Ok(())
    }
}

struct TokioWebSockets(tokio_websockets::WebSocketStream<::tokio::net::TcpStream>);

impl Client for TokioWebSockets {
    async fn queue(&mut self, payload: &Bytes) -> Result<()> {
        Ok(self.0.feed(tokio_websockets::Message::binary(payload.clone())).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, look: impl FnOnce(&[u8])) -> Result<()> {
        match self.0.next().await {
            Some(Ok(message)) if message.is_binary() => look(message.as_payload()),
            message => return Err(format!("{message:?}").into()),
        }
        Ok(())
    }
}

/// It writes each frame at once.
struct FastWebSockets(fastwebsockets::FragmentCollector<::tokio::net::TcpStream>);

impl Client for FastWebSockets {
    async fn queue(&mut self, payload: &Bytes) -> Result<()> {
        // A client masks in place what is not borrowed.
        let payload = fastwebsockets::Payload::Owned(payload.to_vec());
        Ok(self.0.write_frame(fastwebsockets::Frame::binary(payload)).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn receive(&mut self, look: impl FnOnce(&[u8])) -> Result<()> {
        look(&self.0.read_frame().await?.payload);
        Ok(())
    }
}
