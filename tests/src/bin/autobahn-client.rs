//! The client that the Autobahn test suite tests: runs every case of the server at `--url`, sends
//! each message back, and has the reports of `--agent` written. With `--deflate` it offers to
//! compress, as the suite wants it offered for all cases of compression to run, all messages but
//! those of fewer bytes than `--threshold`.

use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::ws::handshake::{HandshakeConfig, Request};
use tidewire_runtime::ws::{ClientConfig, Config, DeflateConfig, Event};
use tidewire_runtime::{SendRuntime, WebSocket};

struct AutobahnClient;

impl Program for AutobahnClient {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let url = flags.value("--url", "ws://127.0.0.1:9001");
        let agent = flags.value("--agent", "tidewire");
        let deflate = DeflateConfig {
            client_no_context_takeover: true,
            threshold: flags.value("--threshold", "64").parse()?,
            ..DeflateConfig::default()
        };
        let deflate = flags.switch("--deflate").then_some(deflate);
        flags.end()?;
        let client = Client { runtime, deflate };

        let mut cases = 0;
        let mut counter = client.connect(&format!("{url}/getCaseCount")).await?;
        while let Some(event) = counter.next().await {
            if let Event::Text(text) = event {
                cases = text.trim().parse()?;
            }
        }

        for case in 1..=cases {
            // How a case ends is for the suite to judge: many of them end in an error.
            let case_url = format!("{url}/runCase?case={case}&agent={agent}");
            match client.run_case(&case_url).await {
                Ok(ended) => println!("{case}: {ended}"),
                Err(error) => println!("{case}: {error}"),
            }
        }

        let mut updated = client.connect(&format!("{url}/updateReports?agent={agent}")).await?;
        while updated.next().await.is_some() {}
        println!("{cases} cases");
        if cases == 0 { Err("there are no cases".into()) } else { Ok(()) }
    }
}

struct Client<R> {
    runtime: R,
    deflate: Option<DeflateConfig>,
}

impl<R: SendRuntime> Client<R> {
    async fn connect(&self, url: &str) -> Result<WebSocket<R>, Box<dyn Error>> {
        let config = ClientConfig {
            // The largest messages of the suite have 16 MiB.
            connection: Config { max_message: 32 << 20, ..Config::default() },
            handshake: HandshakeConfig { deflate: self.deflate, ..HandshakeConfig::default() },
            ..ClientConfig::default()
        };
        Ok(WebSocket::connect(self.runtime.clone(), &Request::new(url)?, config).await?.0)
    }

    /// Sends back what comes. Returns how the connection ended.
    async fn run_case(&self, url: &str) -> Result<String, Box<dyn Error>> {
        let mut socket = self.connect(url).await?;
        let ended = socket
            .run(|event, reply| match event {
                Event::Text(text) => reply.send_text(text),
                Event::Binary(data) => reply.send_binary(data),
                _ => Ok(()),
            })
            .await?;
        Ok(ended.to_string())
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(AutobahnClient)
}
