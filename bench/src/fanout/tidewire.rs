//! tidewire's server and its hub.

use super::{Publish, Result, payload};
use std::net::SocketAddr;
use std::ops::Range;
use std::thread;
use tidewire_runtime::{Broadcast, Runtime, SendRuntime, Server, sse::Event};

const TOPIC: &str = "tide";

pub(super) fn smol() -> Result<(SocketAddr, Publish)> {
    let server = smol::block_on(bind(tidewire_smol::Smol))?;
    start(server, |server, hub| smol::block_on(serve(server, hub)))
}

pub(super) fn async_std() -> Result<(SocketAddr, Publish)> {
    let server = async_std::task::block_on(bind(tidewire_async_std::AsyncStd))?;
    start(server, |server, hub| async_std::task::block_on(serve(server, hub)))
}

async fn bind<R: Runtime>(runtime: R) -> Result<Server<R>> {
    Ok(Server::bind(runtime, "127.0.0.1:0".parse()?).await?)
}

async fn serve<R: SendRuntime>(server: Server<R>, hub: Broadcast) -> std::io::Result<()> {
    let handler = move |exchange| {
        let hub = hub.clone();
        async move { hub.serve(exchange, TOPIC).await }
    };
    server.serve(handler).await
}

fn start<R: Runtime<Listener: Send> + Send>(
    server: Server<R>,
    run: impl FnOnce(Server<R>, Broadcast) -> std::io::Result<()> + Send + 'static,
) -> Result<(SocketAddr, Publish)> {
    let address = server.local_addr()?;
    let hub = Broadcast::default();
    let publisher = hub.clone();
    thread::spawn(move || run(server, hub).expect("the server"));
    let publish = move |events: Range<u64>| {
        for number in events {
            let id = payload::id(number);
            let event = Event::data(payload::data()).id(&id);
            publisher.publish(TOPIC, &event).expect("small enough");
        }
    };
    Ok((address, Box::new(publish)))
}
