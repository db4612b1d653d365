//! The WebSocket server that the peers of `tests/peers` speak with. `--listen` names its address,
//! which it prints; then a line for each connection that has ended. What it does with a connection
//! is in the query of the URL: see `tidewire_tests::echo`. It speaks TLS if its flags say so: see
//! `tidewire_tests::peers::server_tls`.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::handshake::ServerOptions;
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server, ServerConfig};
use tidewire_tests::echo::Task;
use tidewire_tests::peers::server_tls;

async fn on_request<R: SendRuntime>(exchange: Exchange<R>) -> Result<(), HandlerError> {
    let query = exchange.query().unwrap_or_default().to_owned();
    let task = Task::new(&query);
    let options = ServerOptions { deflate: task.deflate(), ..ServerOptions::default() };
    let told = match exchange.websocket(&options, task.config()).await {
        Ok(mut socket) => task.echo(&mut socket).await,
        Err(error) => Err(error.into()),
    };
    println!("{}", told.unwrap_or_else(|error| task.failed(&*error)));
    Ok(())
}

struct TestServer;

impl Program for TestServer {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let address = flags.listen("127.0.0.1:0")?;
        let tls = server_tls(&mut flags)?;
        flags.end()?;
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let config = ServerConfig { tls, ..ServerConfig::default() };
        let server = Server::bind_with(runtime, address, config).await?;
        println!("listening on {scheme}://{}", server.local_addr()?);
        Ok(server.serve(on_request).await?)
    }
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    tidewire_examples::main(TestServer)
}
