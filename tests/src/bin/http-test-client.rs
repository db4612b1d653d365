//! The HTTP client that asks the peers of `tests/peers`. Each line of its input is a request:
//! `METHOD URL KEY=VALUE...`, with tabs in between. It answers with a line of the same kind. How it
//! connects is in its flags: see `tidewire_tests::peers::connector`.
//!
//! | key | what it asks for |
//! |---|---|
//! | `field` | a header line: `Name: value` |
//! | `body` | a body of so many bytes |
//! | `stream`, `known` | a body of so many bytes in pieces, chunked or of known length |
//! | `duplex` | a chunked body that is sent once the head of the response is there |
//! | `piece`, `pause` | how large these pieces are, and how many milliseconds apart |
//! | `trailer` | a trailer behind them |
//! | `expect` | to wait for `100 Continue` |
//! | `redirects` | how many redirects to follow |
//! | `connect`, `head`, `rest`, `total` | timeouts, in milliseconds |
//! | `times`, `together` | so many requests one after the other, or at the same time |
//! | `take` | to drop the response after so many bytes of its body |
//! | `upgrade` | to say this in the protocol that the server has changed to, and then to end it |
//! | `path` | with the method PIPELINE: the target of one of the requests that are sent at once |
//!
//! The answer has `status`, `url`, `body` (length and SHA-1), `.Name=value` for each field and
//! `+Name=value` for each trailer, `interim` for each interim response, `sent` with how much of the
//! pieces was taken, `echo` with what the other protocol said, or `error` and `late` for what took too long; and always `idle`, the number of
//! connections that are kept. Of several requests it is the last line, with `same` for how many had
//! the same status and body.

use smol::io::{AsyncReadExt, AsyncWriteExt};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use std::{error::Error, process::ExitCode};
use tidewire_examples::{Flags, Program};
use tidewire_runtime::http::{self, BodyLength, ClientConfig, ClientEvent};
use tidewire_runtime::url::Url;
use tidewire_runtime::{
    Driver, Error as ClientError, HttpClient, HttpRequest, HttpResponse, SendRuntime, Timeouts,
    Upgraded,
};
use tidewire_tests::net::sleep;
use tidewire_tests::peers::{Summary, connector, pattern};

#[derive(Clone, Default)]
struct Task {
    method: String,
    url: String,
    options: Vec<(String, String)>,
}

/// What became of a request: what several of the same kind have in common, and the rest.
struct Outcome {
    common: String,
    rest: String,
}

impl Task {
    fn new(line: &str) -> Option<Self> {
        let mut words = line.split('\t');
        let (method, url) = (words.next()?.to_owned(), words.next()?.to_owned());
        let options = words
            .map(|word| word.split_once('=').map(|(key, value)| (key.into(), value.into())))
            .collect::<Option<_>>()?;
        Some(Self { method, url, options })
    }

    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.options.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn number(&self, key: &str) -> Option<usize> {
        self.all(key).next().map(|value| value.parse().expect("a number"))
    }

    fn duration(&self, key: &str) -> Option<Duration> {
        self.number(key).map(|milliseconds| Duration::from_millis(milliseconds as u64))
    }

    async fn run<R: SendRuntime>(self, client: HttpClient<R>, runtime: R) -> Outcome {
        if self.method == "PIPELINE" {
            return self.pipeline(runtime).await.unwrap_or_else(|error| failed(&error));
        }
        let interim = Arc::new(Mutex::new(String::new()));
        let mut sent = None;
        let mut outcome = match self.ask(&client, &runtime, interim.clone(), &mut sent).await {
            Ok(mut response) => {
                let mut outcome = self.read(&mut response).await;
                if let Some(words) = self.all("upgrade").next() {
                    outcome.rest += &match response.upgrade() {
                        Ok(connection) => match converse(connection, words).await {
                            Ok(answer) => format!("\techo={answer}"),
                            Err(error) => format!("\techo=<{error}>"),
                        },
                        Err(_) => "\techo=<no upgrade>".to_owned(),
                    };
                }
                outcome
            }
            Err(error) => failed(&error),
        };
        if let Some(sent) = sent {
            outcome.rest += &format!("\tsent={sent}");
        }
        outcome.rest += &*interim.lock().unwrap_or_else(PoisonError::into_inner);
        outcome
    }

    async fn ask<R: SendRuntime>(
        &self,
        client: &HttpClient<R>,
        runtime: &R,
        interim: Arc<Mutex<String>>,
        sent: &mut Option<usize>,
    ) -> Result<HttpResponse<R>, ClientError> {
        let default = Timeouts::default();
        let mut request = HttpRequest::new(&*self.method, &self.url)?
            .timeouts(Timeouts {
                connect: self.duration("connect").or(default.connect),
                head: self.duration("head").or(default.head),
                body: self.duration("rest").or(default.body),
                total: self.duration("total").or(default.total),
                ..default
            })
            .on_interim(move |head| {
                let mut told = interim.lock().unwrap_or_else(PoisonError::into_inner);
                *told += &format!("\tinterim={}", head.status.code());
                for (name, value) in head.headers.iter() {
                    *told += &format!(" {name}: {}", String::from_utf8_lossy(value));
                }
            });
        for field in self.all("field") {
            let (name, value) = field.split_once(": ").expect("a field");
            request = request.field(name, value);
        }
        if let Some(size) = self.number("body") {
            request = request.body(pattern(0, size));
        }
        if self.number("expect").is_some() {
            request = request.expect_continue();
        }
        if let Some(redirects) = self.number("redirects") {
            request = request.max_redirects(u8::try_from(redirects).expect("a small number"));
        }
        if let Some(size) = self.number("duplex") {
            let mut response = client.start(request, BodyLength::Unknown).await?.response().await?;
            for start in (0..size).step_by(10_000) {
                response.send(&pattern(start, size.min(start + 10_000))).await?;
            }
            response.finish().await?;
            return Ok(response);
        }
        let (size, length) = match (self.number("stream"), self.number("known")) {
            (Some(size), _) => (size, BodyLength::Unknown),
            (None, Some(size)) => (size, BodyLength::Known(size as u64)),
            (None, None) => return client.send(request).await,
        };
        let mut upload = client.start(request, length).await?;
        let piece = self.number("piece").unwrap_or(10_007);
        let mut done = 0;
        while done < size {
            let next = size.min(done + piece);
            if !upload.send(&pattern(done, next)).await? {
                break;
            }
            done = next;
            *sent = Some(done);
            if let Some(pause) = self.duration("pause") {
                sleep(runtime, pause).await;
            }
        }
        *sent = Some(done);
        let trailers = self.all("trailer").map(|it| it.split_once(": ").expect("a field"));
        match self.all("trailer").next() {
            None => upload.finish().await,
            Some(_) => upload.finish_with_trailers(trailers).await,
        }
    }

    /// GETs of all paths at once, on a connection of their own.
    async fn pipeline<R: SendRuntime>(&self, runtime: R) -> Result<Outcome, ClientError> {
        let url = Url::parse(&self.url)?;
        let config = ClientConfig {
            pipeline_depth: self.all("path").count(),
            head_timeout: self.duration("head").or(ClientConfig::default().head_timeout),
            ..ClientConfig::default()
        };
        let new = |now, _: &mut _| http::Client::new(config, now);
        let mut driver = Driver::connect(runtime, &url, 64 * 1024, new).await?;
        for path in self.all("path") {
            let it = driver.parts();
            let host = [("Host", url.host_header())];
            it.machine.request("GET", path, host, BodyLength::EMPTY, it.now, it.tx)?;
        }
        let (mut statuses, mut body) = (Vec::new(), Summary::default());
        let (mut ends, mut ended) = (0, "open".to_owned());
        while ends < self.all("path").count() {
            match driver.next().await {
                Some(ClientEvent::Response(head)) => {
                    statuses.push(head.status.code().to_string());
                }
                Some(ClientEvent::Data(data)) => body.add(data),
                Some(ClientEvent::End(_)) => ends += 1,
                Some(ClientEvent::Closed(why)) => ended = why.to_string(),
                Some(_) => {}
                None => break,
            }
        }
        let statuses = statuses.join(",");
        Ok(Outcome {
            common: format!("status={statuses}\tbody={body}"),
            rest: format!("\tended={ended}"),
        })
    }

    async fn read<R: SendRuntime>(&self, response: &mut HttpResponse<R>) -> Outcome {
        let mut body = Summary::default();
        let take = self.number("take").unwrap_or(usize::MAX);
        let ended = loop {
            match response.chunk().await {
                Ok(Some(piece)) => body.add(piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if body.length() >= take {
                break Ok(());
            }
        };
        let mut common = format!("status={}\tbody={body}", response.status().code());
        let mut rest = format!("\turl={}", response.url());
        for (mark, fields) in [('.', response.headers()), ('+', response.trailers())] {
            for (name, value) in fields.iter() {
                rest += &format!("\t{mark}{name}={}", String::from_utf8_lossy(value));
            }
        }
        if let Err(error) = ended {
            let Outcome { common: why, rest: phase } = failed(&error);
            common = format!("{common}\t{why}");
            rest += &phase;
        }
        Outcome { common, rest }
    }
}

/// Says `words`, ends the sending side, and returns what came back until the end.
async fn converse<R: SendRuntime>(
    mut connection: Upgraded<R>,
    words: &str,
) -> std::io::Result<String> {
    connection.write_all(words.as_bytes()).await?;
    connection.close().await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn failed(error: &ClientError) -> Outcome {
    let late = error.timed_out().map(|phase| format!("\tlate={phase:?}"));
    Outcome { common: format!("error={error}"), rest: late.unwrap_or_default() }
}

/// The values of all futures, which run at the same time.
async fn together<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<Pin<Box<_>>> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    poll_fn(|cx| {
        running.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Ready(value) => {
                done.push(value);
                false
            }
            Poll::Pending => true,
        });
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done
}

struct TestClient;

impl Program for TestClient {
    async fn run<R: SendRuntime>(self, runtime: R, mut flags: Flags) -> Result<(), Box<dyn Error>> {
        let client = HttpClient::new(connector(runtime.clone(), &mut flags)?);
        flags.end()?;
        loop {
            // The runtime goes on while nobody asks anything, as it does in a program.
            let line = smol::unblock(|| {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).map(|_| line)
            });
            let line = line.await?;
            if line.is_empty() {
                return Ok(());
            }
            let task = Task::new(line.trim_end_matches('\n')).ok_or("no request")?;
            let mut outcomes = Vec::new();
            for _ in 0..task.number("times").unwrap_or(1) {
                let at_once = task.number("together").unwrap_or(1);
                let tasks = (0..at_once).map(|_| task.clone().run(client.clone(), runtime.clone()));
                outcomes.extend(together(tasks).await);
            }
            let last = outcomes.last().ok_or("not even one time")?;
            let same = outcomes.iter().filter(|it| it.common == last.common).count();
            let idle = client.idle_connections();
            println!("{}{}\tsame={same}\tidle={idle}", last.common, last.rest);
        }
    }
}

fn main() -> ExitCode {
    tidewire_examples::main(TestClient)
}
