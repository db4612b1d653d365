//! A WebSocket server that sends every message back, as text or binary as it came.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::{Config, Event, handshake::ServerOptions};
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server};

async fn on_request<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
    let mut socket = exchange.websocket(&ServerOptions::default(), Config::default()).await?;
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
        flags.end()?;
        let server = Server::bind(runtime, address).await?;
        println!("listening on ws://{}", server.local_addr()?);
        Ok(server.serve(on_request).await?)
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(EchoServer)
}
