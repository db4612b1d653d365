//! The WebSocket server that the peers of `tests/peers` speak with. `--listen` names its address,
//! which it prints; then a line for each connection that has ended. What it does with a connection
//! is in the query of the URL: see `tidewire_tests::echo`.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::handshake::ServerOptions;
use tidewire_runtime::{Exchange, HandlerError, SendRuntime, Server};
use tidewire_tests::echo::Task;

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
        flags.end()?;
        let server = Server::bind(runtime, address).await?;
        println!("listening on ws://{}", server.local_addr()?);
        Ok(server.serve(on_request).await?)
    }
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    tidewire_examples::main(TestServer)
}
