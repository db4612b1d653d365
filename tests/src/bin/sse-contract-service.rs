//! The service that a contract-test harness for SSE clients talks to: it drives our `EventSource`
//! on command and tells what came. `tidewire_tests::contract` says how to talk to it.
//!
//! ```sh
//! cargo run --release -p tidewire-tests --bin sse-contract-service -- --port 8000 --runtime smol
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::SendRuntime;

struct Service;

impl Program for Service {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let port = flags.value("--port", "8000");
        flags.end()?;
        let port = port.parse().map_err(|error| format!("--port {port}: {error}"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(tidewire_tests::contract::serve(runtime, address).await?)
    }
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    tidewire_examples::main(Service)
}
