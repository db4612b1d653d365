//! What the adapters have in common.

/// Implements [`Runtime`](crate::Runtime) and [`SendRuntime`](crate::SendRuntime) for a runtime whose sockets
/// are like the standard library's with `async` in front, names the types of this crate for it, and
/// hands on the rest. What the adapter writes is what differs.
#[macro_export]
macro_rules! adapter {
    (
        $(#[$about:meta])*
        pub struct $runtime:ident;
        sockets: $($sockets:ident)::+;
        timer: $timer:ty;
        resolve: |$host:ident, $port:ident| $resolve:expr;
        spawn: |$future:ident| $spawn:expr;
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $runtime;

        impl $crate::Runtime for $runtime {
            type Stream = $($sockets)::+::TcpStream;
            type Listener = std::sync::Arc<$($sockets)::+::TcpListener>;
            type Timer = $timer;
            type Resolve = $crate::BoxFuture<std::io::Result<Vec<std::net::SocketAddr>>>;
            type Connect = $crate::BoxFuture<std::io::Result<Self::Stream>>;
            type Listen = $crate::BoxFuture<std::io::Result<Self::Listener>>;
            type Accept = $crate::BoxFuture<std::io::Result<(Self::Stream, std::net::SocketAddr)>>;

            fn resolve(&self, host: &str, $port: u16) -> Self::Resolve {
                let $host = host.to_owned();
                Box::pin($resolve)
            }

            fn connect(&self, address: std::net::SocketAddr) -> Self::Connect {
                Box::pin($($sockets)::+::TcpStream::connect(address))
            }

            fn listen(&self, address: std::net::SocketAddr) -> Self::Listen {
                let listener = $($sockets)::+::TcpListener::bind(address);
                Box::pin(async { listener.await.map(std::sync::Arc::new) })
            }

            fn accept(&self, listener: &Self::Listener) -> Self::Accept {
                let listener = listener.clone();
                Box::pin(async move { listener.accept().await })
            }

            fn local_addr(
                &self,
                listener: &Self::Listener,
            ) -> std::io::Result<std::net::SocketAddr> {
                listener.local_addr()
            }

            fn set_nodelay(&self, stream: &Self::Stream) -> std::io::Result<()> {
                stream.set_nodelay(true)
            }

            fn shutdown_write(&self, stream: &Self::Stream) -> std::io::Result<()> {
                stream.shutdown(std::net::Shutdown::Write)
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
            Broadcast, BroadcastConfig, BroadcastError, Control, Delivery, DialError, Error, Handler, HandlerError, HandlerPanicked, HttpClientConfig,
            HttpRequest, Message, Next, Phase, Received, Reply, ServerConfig, ServerHandle, Subscription,
            Timeouts, http, reconnect, sse, url, ws,
        };

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
        /// [`MessageReader`]($crate::MessageReader) on this runtime.
        pub type MessageReader<'a> = $crate::MessageReader<'a, $runtime>;
        /// [`MessageWriter`]($crate::MessageWriter) on this runtime.
        pub type MessageWriter<'a> = $crate::MessageWriter<'a, $runtime>;
        /// [`Client`]($crate::Client) on this runtime.
        pub type Client = $crate::Client<$runtime>;
        /// [`EventSource`]($crate::EventSource) on this runtime.
        pub type EventSource = $crate::EventSource<$runtime>;
        /// [`Driver`]($crate::Driver) on this runtime.
        pub type Driver<M> = $crate::Driver<$runtime, M>;
    };
}
