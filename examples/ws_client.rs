//! A WebSocket client: pings every 55 seconds, sends headers of its own, says `hello`, prints what
//! it hears, and is back one second after its connection was lost. `--deflate` offers to compress.

use std::{error::Error, process::ExitCode, time::Duration};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::ResponseHead;
use tidewire_runtime::ws::{ClientClosed, ClientConfig, DeflateConfig, handshake::Request};
use tidewire_runtime::{Client, Control, Handler, Next, Received, SendRuntime};

struct Callbacks;

impl Handler for Callbacks {
    fn on_connect(&mut self, _con: &mut Control<'_>) {
        println!("connect");
    }

    fn on_open(&mut self, con: &mut Control<'_>, response: ResponseHead<'_>) {
        println!("open {}", response.status);
        if let Err(error) = con.send_text("hello") {
            println!("error {error}");
        }
    }

    fn on_message(&mut self, _con: &mut Control<'_>, message: Received<'_>) {
        match message {
            Received::Text(text) => println!("message text {text}"),
            Received::Binary(data) => println!("message binary {data:02x?}"),
        }
    }

    fn on_error(&mut self, _con: &mut Control<'_>, error: &tidewire_runtime::Error) {
        println!("error {error}");
    }

    fn on_close(&mut self, _con: &mut Control<'_>, why: ClientClosed, reason: &str) -> Next {
        println!("close {} {reason}", why.code());
        Next::Reconnect(Duration::from_secs(1))
    }
}

struct WsClient;

impl Program for WsClient {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let request = Request::new(&flags.value("--url", "ws://127.0.0.1:1234"))?
            .field("Cookie", "PHPSID=abc; token=xyz")?
            .field("OtherKey", "values")?;
        let mut config = ClientConfig::default();
        let ping = flags.value("--ping-seconds", "55").parse()?;
        config.handshake.deflate = flags.switch("--deflate").then(DeflateConfig::default);
        flags.end()?;
        config.connection.ping_interval = Some(Duration::from_secs(ping));
        Client::new(runtime, request, config)?.run(&mut Callbacks).await;
        Ok(())
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(WsClient)
}
