//! A WebSocket server that sends every message back, as text or binary as it came. With `--deflate`
//! it compresses with clients that offer it (permessage-deflate, RFC 7692), all messages but those of
//! fewer bytes than `--threshold`. With `--streaming` it sends the pieces of a message back as they come,
//! so that a message may be larger than memory.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::{Config, DeflateConfig, Delivery, Event, handshake::ServerOptions};
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server};

async fn on_request<R: SendRuntime>(
    exchange: Exchange<R>,
    options: ServerOptions<'_>,
    config: Config,
) -> Result<(), HandlerError> {
    let mut socket = exchange.websocket(&options, config).await?;
    socket
        .run(|event, reply| match event {
            Event::Text(text) => reply.send_text(text),
            Event::Binary(data) => reply.send_binary(data),
            Event::MessageStart { kind, .. } => reply.start_message(kind),
            Event::Chunk(piece) => reply.send_chunk(piece),
            Event::MessageEnd => reply.end_message(b""),
            _ => Ok(()),
        })
        .await?;
    Ok(())
}

struct EchoServer;

impl Program for EchoServer {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let address = flags.listen("127.0.0.1:0")?;
        let (mut options, mut config) = (ServerOptions::new(), Config::default());
        let threshold = flags.value("--threshold", "64").parse()?;
        let deflate = DeflateConfig { threshold, ..DeflateConfig::default() };
        options.deflate = flags.switch("--deflate").then_some(deflate);
        if flags.switch("--streaming") {
            (config.delivery, config.max_message) = (Delivery::Streaming, usize::MAX);
        }
        flags.end()?;
        let server = Server::bind(runtime, address).await?;
        println!("listening on ws://{}", server.local_addr()?);
        Ok(server.serve(move |exchange| on_request(exchange, options, config)).await?)
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(EchoServer)
}
