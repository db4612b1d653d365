//! What the adapters have in common.

/// Implements [`Runtime`](crate::Runtime) and [`SendRuntime`](crate::SendRuntime) for a runtime, names
/// the types of this crate for it, and hands on the rest. What the adapter writes is what differs.
///
/// Sockets come ready made from the standard library's types, not blocking. `connect` waits for one to
/// be connected; `blocking` runs what blocks on a thread where it may. A runtime whose reactor is that of
/// the crate `async-io` says where that is, and nothing more of sockets and timers.
#[macro_export]
macro_rules! adapter {
    (
        $(#[$about:meta])*
        pub struct $runtime:ident;
        async_io: $async_io:ident;
        blocking: |$work:ident| $blocking:expr;
        spawn: |$future:ident| $spawn:expr;
    ) => {
        $crate::adapter! {
            $(#[$about])*
            pub struct $runtime;
            stream: $async_io::Async<std::net::TcpStream>;
            listener: $async_io::Async<std::net::TcpListener>;
            timer: Timer;
            connect: |socket| async {
                let stream = $async_io::Async::new_nonblocking(socket)?;
                stream.writable().await?;
                std::io::Result::Ok(stream)
            };
            connect_unix: |path| $async_io::Async::<std::os::unix::net::UnixStream>::connect(path);
            listen: |socket| $async_io::Async::new_nonblocking(socket);
            listen_unix: |path| $async_io::Async::<std::os::unix::net::UnixListener>::bind(path);
            accept: |listener| listener.accept();
            blocking: |$work| $blocking;
            spawn: |$future| $spawn;
        }

        /// A timer of the reactor's, which can be set again.
        #[derive(Debug)]
        pub struct Timer($async_io::Timer);

        impl Default for Timer {
            fn default() -> Self {
                Self($async_io::Timer::never())
            }
        }

        impl $crate::Timer for Timer {
            fn set(&mut self, at: std::time::Instant) {
                self.0.set_at(at);
            }

            fn poll(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
                std::future::Future::poll(std::pin::Pin::new(&mut self.0), cx).map(drop)
            }
        }
    };
    (
        $(#[$about:meta])*
        pub struct $runtime:ident;
        stream: $stream:ty;
        listener: $listener:ty;
        timer: $timer:ty;
        connect: |$connecting:ident| $connect:expr;
        connect_unix: |$path:ident| $connect_unix:expr;
        listen: |$listening:ident| $listen:expr;
        listen_unix: |$unix_path:ident| $listen_unix:expr;
        accept: |$accepting:ident| $accept:expr;
        blocking: |$work:ident| $blocking:expr;
        spawn: |$future:ident| $spawn:expr;
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $runtime;

        impl $crate::Runtime for $runtime {
            type Stream = $stream;
            type Listener = std::sync::Arc<$listener>;
            type Timer = $timer;
            type Resolve = $crate::BoxFuture<std::io::Result<Vec<std::net::SocketAddr>>>;
            type Connect = $crate::BoxFuture<std::io::Result<Self::Stream>>;
            type Accept = $crate::BoxFuture<std::io::Result<(Self::Stream, std::net::SocketAddr)>>;

            fn resolve(&self, host: &str, port: u16) -> Self::Resolve {
                let host = host.to_owned();
                Box::pin(async move {
                    let $work = move || std::net::ToSocketAddrs::to_socket_addrs(&(&*host, port));
                    $blocking.await.map(Iterator::collect)
                })
            }

            fn connect(
                &self,
                address: std::net::SocketAddr,
                options: &$crate::SocketOptions,
            ) -> Self::Connect {
                let socket = options.connect(address);
                Box::pin(async {
                    let $connecting = socket?;
                    let stream: $stream = $connect.await?;
                    $crate::SockRef::from(&stream).take_error()?.map_or(Ok(stream), Err)
                })
            }

            #[cfg(unix)]
            fn connect_unix(
                &self,
                path: &std::path::Path,
            ) -> $crate::BoxFuture<std::io::Result<$crate::BoxStream>> {
                let $path = path.to_owned();
                Box::pin(async move {
                    let stream: $crate::BoxStream = Box::new($crate::UnixSocket($connect_unix.await?));
                    Ok(stream)
                })
            }

            fn listen(
                &self,
                address: std::net::SocketAddr,
                options: &$crate::ListenOptions,
            ) -> std::io::Result<Self::Listener> {
                let $listening = options.listen(address)?;
                $listen.map(std::sync::Arc::new)
            }

            #[cfg(unix)]
            fn listen_unix(
                &self,
                $unix_path: &std::path::Path,
            ) -> std::io::Result<$crate::BoxAccept> {
                let listener = std::sync::Arc::new($listen_unix?);
                Ok(Box::new(move || {
                    let $accepting = listener.clone();
                    Box::pin(async move {
                        let stream: $crate::BoxStream = Box::new($crate::UnixSocket($accept.await?.0));
                        Ok(stream)
                    })
                }))
            }

            fn accept(&self, $accepting: &Self::Listener) -> Self::Accept {
                let $accepting = $accepting.clone();
                Box::pin(async move { $accept.await })
            }

            fn local_addr(
                &self,
                listener: &Self::Listener,
            ) -> std::io::Result<std::net::SocketAddr> {
                let address = $crate::SockRef::from(&**listener).local_addr()?;
                address.as_socket().ok_or_else(|| std::io::ErrorKind::Unsupported.into())
            }

            fn set_options(
                &self,
                stream: &Self::Stream,
                options: &$crate::SocketOptions,
            ) -> std::io::Result<()> {
                options.apply(stream)
            }

            fn shutdown_write(&self, stream: &Self::Stream) -> std::io::Result<()> {
                $crate::SockRef::from(stream).shutdown(std::net::Shutdown::Write)
            }

            fn timer(&self) -> Self::Timer {
                Self::Timer::default()
            }
        }

        impl $crate::SendRuntime for $runtime {
            fn spawn_send(
                &self,
                $future: impl std::future::Future<Output = ()> + Send + 'static,
            ) {
                $spawn;
            }
        }

        pub use $crate::{
            BoxStream, Broadcast, BroadcastConfig, BroadcastError, Control, Delivery, DialConfig, DialError, Error, Family, Handler, HandlerError, HandlerPanicked, HttpClientConfig,
            HttpRequest, Io, Keepalive, ListenOptions, Message, Next, Phase, ProxyRefused, Received, Reply, ReuniteError, Runtime, SendRuntime, ServerConfig, ServerHandle, ServerStats, SocketOptions, SourceStats, Stats, Status, StatusWatch, Subscription,
            Timeouts, Transferred, TlsAlert, TlsConfig, TlsError, TlsServerConfig, TlsSession, http, proxy, reconnect, sse, url, ws,
        };

        /// [`Connector`]($crate::Connector) on this runtime.
        pub type Connector = $crate::Connector<$runtime>;
        /// [`ByteStream`]($crate::ByteStream) on this runtime.
        pub type ByteStream = $crate::ByteStream<$runtime>;
        /// [`Server`]($crate::Server) on this runtime.
        pub type Server = $crate::Server<$runtime>;
        /// [`Exchange`]($crate::Exchange) on this runtime.
        pub type Exchange = $crate::Exchange<$runtime>;
        /// [`BodyWriter`]($crate::BodyWriter) on this runtime.
        pub type BodyWriter = $crate::BodyWriter<$runtime>;
        /// [`Upgraded`]($crate::Upgraded) on this runtime.
        pub type Upgraded = $crate::Upgraded<$runtime>;
        /// [`EventStream`]($crate::EventStream) on this runtime.
        pub type EventStream = $crate::EventStream<$runtime>;
        /// [`HttpClient`]($crate::HttpClient) on this runtime.
        pub type HttpClient = $crate::HttpClient<$runtime>;
        /// [`HttpResponse`]($crate::HttpResponse) on this runtime.
        pub type HttpResponse = $crate::HttpResponse<$runtime>;
        /// [`Upload`]($crate::Upload) on this runtime.
        pub type Upload = $crate::Upload<$runtime>;
        /// [`WebSocket`]($crate::WebSocket) on this runtime.
        pub type WebSocket = $crate::WebSocket<$runtime>;
        /// [`WebSocketSender`]($crate::WebSocketSender) on this runtime.
        pub type WebSocketSender = $crate::WebSocketSender<$runtime>;
        /// [`WebSocketReceiver`]($crate::WebSocketReceiver) on this runtime.
        pub type WebSocketReceiver = $crate::WebSocketReceiver<$runtime>;
        /// [`MessageReader`]($crate::MessageReader) on this runtime.
        pub type MessageReader<'a> = $crate::MessageReader<'a, $runtime>;
        /// [`MessageWriter`]($crate::MessageWriter) on this runtime.
        pub type MessageWriter<'a> = $crate::MessageWriter<'a, $runtime>;
        /// [`Client`]($crate::Client) on this runtime.
        pub type Client = $crate::Client<$runtime>;
        /// [`ClientSender`]($crate::ClientSender) on this runtime.
        pub type ClientSender = $crate::ClientSender<$runtime>;
        /// [`ClientReceiver`]($crate::ClientReceiver) on this runtime.
        pub type ClientReceiver = $crate::ClientReceiver<$runtime>;
        /// [`EventSource`]($crate::EventSource) on this runtime.
        pub type EventSource = $crate::EventSource<$runtime>;
        /// [`Driver`]($crate::Driver) on this runtime.
        pub type Driver<M> = $crate::Driver<$runtime, M>;
    };
}
