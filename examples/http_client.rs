//! An HTTP client in the manner of curl: prints the body of what `--url` answers, its head and the
//! way there on the standard error stream.
//!
//! ```text
//! http_client --url http://127.0.0.1:8080/notes
//! http_client --url http://127.0.0.1:8080/notes --data 'remember the milk'
//! http_client --url http://127.0.0.1:8080/notes --upload notes.txt --method PUT
//! ```

use std::{error::Error, io::Write, process::ExitCode, time::Duration};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::BodyLength;
use tidewire_runtime::{HttpClient, HttpRequest, SendRuntime, Timeouts};

struct Curl;

impl Program for Curl {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let url = flags.value("--url", "http://127.0.0.1:8080/");
        let (data, upload) = (flags.value("--data", ""), flags.value("--upload", ""));
        let usual = match (data.as_str(), upload.as_str()) {
            ("", "") => "GET",
            (_, "") => "POST",
            _ => "PUT",
        };
        let method = flags.value("--method", usual);
        let seconds = flags.value("--max-time", "60").parse()?;
        flags.end()?;

        let total = Some(Duration::from_secs(seconds));
        let request = HttpRequest::new(method, &url)?
            .timeouts(Timeouts { total, ..Timeouts::default() })
            .on_interim(|head| eprintln!("< {}", head.status));
        let client = HttpClient::new(runtime);
        let mut response = match (data.as_str(), upload.as_str()) {
            ("", "") => client.send(request).await?,
            (_, "") => client.send(request.body(data)).await?,
            (_, path) => {
                // Read as it is sent, and not at all if the server does not want it.
                let file = smol::fs::File::open(path).await?;
                let length = BodyLength::Known(file.metadata().await?.len());
                let mut upload = client.start(request.expect_continue(), length).await?;
                upload.send_from(file).await?;
                upload.finish().await?
            }
        };
        eprintln!("< {} from {}", response.status(), response.url());
        for (name, value) in response.headers().iter() {
            eprintln!("< {name}: {}", String::from_utf8_lossy(value));
        }
        while let Some(piece) = response.chunk().await? {
            std::io::stdout().write_all(piece)?;
        }
        for (name, value) in response.trailers().iter() {
            eprintln!("< {name}: {}", String::from_utf8_lossy(value));
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(Curl)
}
