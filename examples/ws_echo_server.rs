//! A WebSocket server that sends every message back, as text or binary as it came. With `--deflate`
//! it compresses with clients that offer it (permessage-deflate, RFC 7692), all messages but those of
//! fewer bytes than `--threshold`.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::{Config, DeflateConfig, Event, handshake::ServerOptions};
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server};

async fn echo<R: SendRuntime>(
    exchange: Exchange<R>,
    deflate: Option<DeflateConfig>,
) -> Result<(), HandlerError> {
    let options = ServerOptions { deflate, ..ServerOptions::default() };
    let mut socket = exchange.websocket(&options, Config::default()).await?;
    socket
        .run(|event, reply| match event {
            Event::Text(text) => reply.send_text(text),
            Event::Binary(data) => reply.send_binary(data),
            _ => Ok(()),
        })
        .await?;
    Ok(())
}

struct EchoServer;

impl Program for EchoServer {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let address = flags.listen("127.0.0.1:0")?;
        let threshold = flags.value("--threshold", "64").parse()?;
        let deflate = DeflateConfig { threshold, ..DeflateConfig::default() };
        let deflate = flags.switch("--deflate").then_some(deflate);
        flags.end()?;
        let server = Server::bind(runtime, address).await?;
        println!("listening on ws://{}", server.local_addr()?);
        Ok(server.serve(move |exchange| echo(exchange, deflate)).await?)
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(EchoServer)
}
