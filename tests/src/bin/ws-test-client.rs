//! The WebSocket client that the peers of `tests/peers` speak with. Each line of its input is a URL
//! to connect to; when the connection has ended it prints a line about it. What it does with the
//! connection is in the query of the URL: see `tidewire_tests::echo`. How it connects is in its flags: see
//! `tidewire_tests::peers::connector`.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::ClientConfig;
use tidewire_runtime::ws::handshake::{HandshakeConfig, Request};
use tidewire_runtime::{Connector, HandlerError, SendRuntime, WebSocket};
use tidewire_tests::echo::Task;
use tidewire_tests::peers::connector;

async fn run<R: SendRuntime>(
    connector: &Connector<R>,
    url: &str,
    task: &Task<'_>,
) -> Result<String, HandlerError> {
    let request = Request::new(url)?;
    let config = ClientConfig {
        connection: task.config(),
        handshake: HandshakeConfig { deflate: task.deflate(), ..HandshakeConfig::default() },
        ..ClientConfig::default()
    };
    let (mut socket, _) = WebSocket::connect(connector.clone(), &request, config).await?;
    task.echo(&mut socket).await
}

struct TestClient;

impl Program for TestClient {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let connector = connector(runtime, &mut flags)?;
        flags.end()?;
        for url in std::io::stdin().lines() {
            let url = url?;
            let task = Task::new(url.split_once('?').map_or("", |(_, query)| query));
            let told = run(&connector, &url, &task).await;
            println!("{}", told.unwrap_or_else(|error| task.failed(&*error)));
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(TestClient)
}
