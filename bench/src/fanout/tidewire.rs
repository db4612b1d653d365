//! tidewire's server.

use super::{Result, payload};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use tidewire_smol::{HandlerError, http::NO_FIELDS, sse};

type Publish = Box<dyn FnMut(Range<u64>)>;

macro_rules! on {
    ($adapter:ident, $runtime:ident, $block_on:path) => {{
        use $adapter::{Exchange, Server, $runtime};
        let channels: Arc<Mutex<Vec<async_channel::Sender<u64>>>> = Arc::default();
        let known = channels.clone();
        let server = $block_on(Server::bind($runtime, "127.0.0.1:0".parse()?))?;
        let address = server.local_addr()?;
        let handler = move |exchange: Exchange| {
            let (sender, receiver) = async_channel::unbounded();
            known.lock().unwrap().push(sender);
            async move {
                let mut stream = exchange.event_stream(NO_FIELDS).await?;
                while let Ok(number) = stream.while_open(receiver.recv()).await? {
                    let id = payload::id(number);
                    stream.send(&sse::Event::data(payload::data()).id(&id)).await?;
                }
                Ok::<_, HandlerError>(())
            }
        };
        thread::spawn(move || $block_on(server.serve(handler)).expect("the server"));
        let publish = move |events: Range<u64>| {
            for number in events {
                for channel in channels.lock().unwrap().iter() {
                    let _ = channel.try_send(number);
                }
            }
        };
        Ok((address, Box::new(publish)))
    }};
}

pub(super) fn smol() -> Result<(SocketAddr, Publish)> {
    on!(tidewire_smol, Smol, smol::block_on)
}

pub(super) fn async_std() -> Result<(SocketAddr, Publish)> {
    on!(tidewire_async_std, AsyncStd, async_std::task::block_on)
}
