//! The client that the Autobahn test suite tests: runs every case of the server at `--url`, sends
//! each message back, and has the reports of `--agent` written.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::handshake::Request;
use tidewire_runtime::ws::{Config, Event};
use tidewire_runtime::{SendRuntime, WebSocket};

struct AutobahnClient;

impl Program for AutobahnClient {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let url = flags.value("--url", "ws://127.0.0.1:9001");
        let agent = flags.value("--agent", "tidewire");

        let mut cases = 0;
        let mut counter = connect(&runtime, &format!("{url}/getCaseCount")).await?;
        while let Some(event) = counter.next().await {
            if let Event::Text(text) = event {
                cases = text.trim().parse()?;
            }
        }

        for case in 1..=cases {
            // How a case ends is for the suite to judge: many of them end in an error.
            let case_url = format!("{url}/runCase?case={case}&agent={agent}");
            match run_case(&runtime, &case_url).await {
                Ok(ended) => println!("{case}: {ended}"),
                Err(error) => println!("{case}: {error}"),
            }
        }

        let mut updated = connect(&runtime, &format!("{url}/updateReports?agent={agent}")).await?;
        while updated.next().await.is_some() {}
        println!("{cases} cases");
        if cases == 0 { Err("there are no cases".into()) } else { Ok(()) }
    }
}

async fn connect<R: SendRuntime>(runtime: &R, url: &str) -> Result<WebSocket<R>, Box<dyn Error>> {
    // The largest messages of the suite have 16 MiB.
    let config = Config { max_message: 32 << 20, ..Config::default() };
    Ok(WebSocket::connect(runtime.clone(), &Request::new(url)?, config).await?.0)
}

/// Sends back what comes. Returns how the connection ended.
async fn run_case<R: SendRuntime>(runtime: &R, url: &str) -> Result<String, Box<dyn Error>> {
    let mut socket = connect(runtime, url).await?;
    let ended = socket
        .run(|event, reply| match event {
            Event::Text(text) => reply.send_text(text),
            Event::Binary(data) => reply.send_binary(data),
            _ => Ok(()),
        })
        .await?;
    Ok(ended.to_string())
}

fn main() -> ExitCode {
    tidewire_examples::main(AutobahnClient)
}
