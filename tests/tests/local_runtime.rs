//! A runtime whose parts stay on one thread, and what a message costs it in calls to the socket.
#![cfg(feature = "net")]

use futures_io::{AsyncRead, AsyncWrite};
use smol::net::{TcpListener, TcpStream};
use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tidewire_runtime::http::NO_FIELDS;
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{Config, Event};
use tidewire_runtime::{
    BoxFuture, HandlerError, ListenOptions, Runtime, Server, SocketOptions, Spawn, WebSocket, sse,
};
use tidewire_tests::net::{RawPeer, on_thread};

type Exchange = tidewire_runtime::Exchange<Local>;
type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// An executor of this thread. Nothing of it is `Send`.
#[derive(Clone)]
struct Local {
    executor: Rc<smol::LocalExecutor<'static>>,
    calls: Rc<Calls>,
}

/// Calls to sockets: those that read, those that write.
#[derive(Default)]
struct Calls(Cell<usize>, Cell<usize>);

struct Socket(TcpStream, Rc<Calls>);

impl Socket {
    fn read(&mut self) -> Pin<&mut TcpStream> {
        self.1.0.set(self.1.0.get() + 1);
        Pin::new(&mut self.0)
    }

    fn write(&mut self) -> Pin<&mut TcpStream> {
        self.1.1.set(self.1.1.get() + 1);
        Pin::new(&mut self.0)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.read().poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write().poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl Runtime for Local {
    type Stream = Socket;
    type Listener = TcpListener;
    type Timer = tidewire_smol::Timer;
    type Resolve = BoxFuture<io::Result<Vec<SocketAddr>>>;
    type Connect = LocalFuture<io::Result<Socket>>;
    type Accept = LocalFuture<io::Result<(Socket, SocketAddr)>>;

    fn resolve(&self, host: &str, port: u16) -> Self::Resolve {
        Box::pin(smol::net::resolve((host.to_owned(), port)))
    }

    fn connect(&self, address: SocketAddr, _: &SocketOptions) -> Self::Connect {
        let calls = self.calls.clone();
        Box::pin(async move { Ok(Socket(TcpStream::connect(address).await?, calls)) })
    }

    fn listen(&self, address: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
        options.listen(address)?.try_into()
    }

    fn accept(&self, listener: &TcpListener) -> Self::Accept {
        let (listener, calls) = (listener.clone(), self.calls.clone());
        Box::pin(async move {
            let (stream, peer) = listener.accept().await?;
            Ok((Socket(stream, calls), peer))
        })
    }

    fn local_addr(&self, listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    fn set_options(&self, stream: &Socket, options: &SocketOptions) -> io::Result<()> {
        options.apply(&stream.0)
    }

    fn shutdown_write(&self, stream: &Socket) -> io::Result<()> {
        stream.0.shutdown(std::net::Shutdown::Write)
    }

    fn timer(&self) -> Self::Timer {
        Self::Timer::default()
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for Local {
    fn spawn(&self, future: F) {
        self.executor.spawn(future).detach();
    }
}

/// An echo, or three events, with something in the handler that is not `Send`.
async fn on_request(exchange: Exchange) -> Result<(), HandlerError> {
    let not_send = Rc::new(());
    if exchange.wants_websocket() {
        let mut socket = exchange.websocket(&ServerOptions::default(), Config::default()).await?;
        socket
            .run(|event, reply| match event {
                Event::Text(text) => reply.send_text(text),
                _ => Ok(()),
            })
            .await?;
    } else {
        let mut events = exchange.event_stream(NO_FIELDS).await?;
        for _ in 0..3 {
            events.wait(Duration::from_millis(1)).await?;
            events.send(&sse::Event::data("x")).await?;
        }
    }
    drop(not_send);
    Ok(())
}

fn with_server<F: Future<Output = ()> + 'static>(program: impl FnOnce(Local, SocketAddr) -> F) {
    let executor = Rc::new(smol::LocalExecutor::new());
    let local = Local { executor: executor.clone(), calls: Rc::default() };
    smol::block_on(executor.run(async {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(local.clone(), any).await.unwrap();
        let address = server.local_addr().unwrap();
        let serving = executor.spawn(async { server.serve(on_request).await.unwrap() });
        // A task of its own, so that it is polled when it is woken and at no other time.
        executor.spawn(program(local.clone(), address)).await;
        drop(serving);
    }));
}

#[test]
fn nothing_has_to_be_send() {
    with_server(|_, address| async move {
        let body = on_thread(move || {
            let mut peer = RawPeer::connect(address);
            peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            peer.read_head();
            peer.read_to_end()
        })
        .await;
        assert_eq!(
            body,
            b"9\r\ndata: x\n\n\r\n".repeat(3).into_iter().chain(*b"0\r\n\r\n").collect::<Vec<_>>()
        );
    });
}

/// Either side writes once, reads once, and finds out once that there is no more.
#[test]
fn a_message_there_and_back_costs_six_calls() {
    const ROUNDS: usize = 100;
    with_server(|local, address| async move {
        let request = Request::new(&format!("ws://{address}")).unwrap();
        let (mut socket, _) =
            WebSocket::connect(local.clone(), &request, Config::default()).await.unwrap();
        let Calls(reads, writes) = &*local.calls;
        reads.set(0);
        writes.set(0);
        for _ in 0..ROUNDS {
            socket.send_text("hello").await.unwrap();
            assert_eq!(socket.next().await, Some(Event::Text("hello")));
        }
        assert!(writes.get() <= 2 * ROUNDS + 10, "{} writes", writes.get());
        assert!(reads.get() <= 4 * ROUNDS + 10, "{} reads", reads.get());
    });
}
