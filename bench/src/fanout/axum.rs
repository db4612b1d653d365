//! axum's SSE on tokio: a broadcast channel, and its events as they come out of it.

use super::{Publish, Result, payload};
use axum::Router;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::thread;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

pub(super) fn start(multi_thread: bool) -> Result<(SocketAddr, Publish)> {
    let mut builder =
        if multi_thread { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = builder.enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let (sender, _) = broadcast::channel::<Event>(1024);
    let events = sender.clone();
    let subscribe = move || {
        let events = BroadcastStream::new(events.subscribe());
        async { Sse::new(events).keep_alive(KeepAlive::default()) }
    };
    let app = Router::new().route("/events", get(subscribe));
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
    thread::spawn(move || {
        runtime.block_on(async { axum::serve(listener, app).await }).expect("axum");
    });
    let publish = move |events: Range<u64>| {
        for number in events {
            // An event is encoded once, and copied for each subscriber.
            let event = Event::default().id(payload::id(number)).data(payload::data());
            // Fails where nobody has subscribed.
            let _ = sender.send(event);
        }
    };
    Ok((address, Box::new(publish)))
}
