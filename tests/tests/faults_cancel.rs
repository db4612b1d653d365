//! The futures of `HttpClient` and of a server's handlers, dropped at each point at which they wait:
//! nothing is lost, nothing comes twice, no answer goes to another question, and when all is over
//! nothing is left.
#![cfg(feature = "net")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tidewire_runtime::http::{BodyLength, NO_FIELDS, Status};
use tidewire_runtime::ws::handshake::{Request, ServerOptions};
use tidewire_runtime::ws::{CloseCode, Config, Event};
use tidewire_runtime::{
    Error, HandlerError, HttpClient, HttpRequest, HttpResponse, Server, ServerConfig, WebSocket,
    sse,
};
use tidewire_tests::memory::Memory;
use tidewire_tests::net::plain;
use tidewire_tests::scripted::{Drops, Random};

type Exchange = tidewire_runtime::Exchange<Memory>;

const SEEDS: u64 = 2;
const RANDOM_RUNS: u64 = 10;
const PIECES: usize = 8;

/// Of a size that depends on the number.
fn piece(number: usize) -> String {
    format!("<{number}{}>", "x".repeat([3, 200, 0, 1500][number % 4]))
}

fn pieces() -> String {
    (0..PIECES).map(piece).collect()
}

/// The whole body of a request, by futures that are dropped.
async fn collect(memory: &Memory, exchange: &mut Exchange) -> Result<String, Error> {
    let mut whole = Vec::new();
    loop {
        let next = async || exchange.body().await.map(|piece| piece.map(<[u8]>::to_vec));
        match memory.insist(next).await? {
            Some(piece) => whole.extend(piece),
            None => return Ok(String::from_utf8(whole).expect("what was sent is text")),
        }
    }
}

/// The text of a message; else what it was instead.
fn text(event: Event<'_>) -> Result<String, String> {
    match event {
        Event::Text(text) => Ok(text.to_owned()),
        other => Err(format!("{other:?}")),
    }
}

async fn handler(memory: Memory, mut exchange: Exchange) -> Result<(), HandlerError> {
    match exchange.path() {
        "/echo" => {
            let body = collect(&memory, &mut exchange).await?;
            // Dropped, it has answered all the same: what is queued leaves.
            memory.attempt(exchange.respond(body)).await.transpose()?;
        }
        "/stream" => {
            let mut body = exchange.stream(Status::OK, NO_FIELDS, BodyLength::Unknown)?;
            for number in 0..PIECES {
                // Each is sent once, since only what waits for room is dropped before it is queued.
                memory.insist(async || body.send(piece(number).as_bytes()).await).await?;
            }
            memory.attempt(body.finish()).await.transpose()?;
        }
        "/events" => {
            let mut stream = exchange.event_stream(NO_FIELDS).await?;
            for number in 0..PIECES {
                let data = piece(number);
                memory.insist(async || stream.send(&sse::Event::data(&data)).await).await?;
            }
            memory.attempt(stream.finish()).await.transpose()?;
        }
        "/wait" => {
            // Until the client leaves.
            let left = async || exchange.while_open(std::future::pending::<()>()).await;
            assert!(memory.insist(left).await.is_err());
        }
        "/chat" => {
            let options = ServerOptions::default();
            let mut socket = exchange.websocket(&options, Config::default()).await?;
            while let Some(event) = memory.insist(async || socket.next().await.map(text)).await {
                if let Ok(text) = event {
                    socket.queue_text(&text)?;
                    memory.insist(async || socket.flush().await).await?;
                }
            }
        }
        other => return Err(format!("nobody asks for {other}").into()),
    }
    Ok(())
}

/// Runs `program` with a server, with futures dropped nowhere, at each point, and anywhere. When the
/// program is over, so must the server be, and every task.
fn everywhere<F: Future<Output = ()> + 'static>(program: impl Fn(Memory) -> F + Clone + 'static) {
    let run = |seed: u64, drops: Drops| {
        let memory = Memory::new(seed, drops);
        let (own, program) = (memory.clone(), program.clone());
        let over = Rc::new(Cell::new(false));
        let is_over = over.clone();
        memory.run(async move {
            let config = ServerConfig { send_high_water: 1000, ..plain() };
            let any = ([127, 0, 0, 1], 80).into();
            let server = Server::bind_with(own.clone(), any, config).await.expect("it listens");
            let handle = server.handle();
            let errors = Rc::new(RefCell::new(Vec::new()));
            let (told, memory) = (errors.clone(), own.clone());
            let serving = server.serve(move |exchange| {
                let (memory, told) = (memory.clone(), told.clone());
                async move {
                    let handled = handler(memory, exchange).await;
                    if let Err(error) = &handled {
                        told.borrow_mut().push(error.to_string());
                    }
                    handled
                }
            });
            let program = async {
                program(own).await;
                handle.shutdown();
            };
            let (served, ()) = join(serving, program).await;
            served.expect("serving does not fail");
            assert_eq!(handle.connections(), 0);
            is_over.set(true);
        });
        assert!(over.get());
        memory.waits()
    };
    let mut points = 0;
    for seed in 0..SEEDS {
        let waits = run(seed, Drops::None);
        for wait in 1..=waits {
            run(seed, Drops::At(wait));
        }
        for number in 0..RANDOM_RUNS {
            run(seed, Drops::Any(Random::new(number)));
        }
        points += waits;
    }
    assert!(points > 60, "a scenario that waits {points} times tells nothing");
}

/// Both values.
async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if first.is_none() {
            if let Poll::Ready(value) = a.as_mut().poll(cx) {
                first = Some(value);
            }
        }
        if second.is_none() {
            if let Poll::Ready(value) = b.as_mut().poll(cx) {
                second = Some(value);
            }
        }
        if first.is_some() && second.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (first.expect("it is there"), second.expect("it is there"))
}

/// All of a response, by futures that are dropped.
async fn read(memory: &Memory, mut response: HttpResponse<Memory>) -> String {
    let mut whole = Vec::new();
    loop {
        let next = async || response.chunk().await.map(|piece| piece.map(<[u8]>::to_vec));
        match memory.insist(next).await.expect("it comes whole") {
            Some(piece) => whole.extend(piece),
            None => return String::from_utf8(whole).expect("what was sent is text"),
        }
    }
}

// A request that is given up takes its connection with it, so that nobody reads its answer: RFC 9112,
// 9.3.
#[test]
fn a_request_that_is_given_up_leaves_no_answer_to_the_next() {
    everywhere(|memory| async move {
        let client = HttpClient::new(memory.clone());
        for number in 0..4 {
            let mut tried = 0;
            let response = memory
                .insist(async || {
                    tried += 1;
                    client
                        .post("http://h/echo", format!("{number}.{tried} {}", piece(number)))
                        .await
                })
                .await
                .expect("it is answered");
            // Moved out of what was dropped, the number of tries is that of the last.
            let expected = format!("{number}.{tried} {}", piece(number));
            assert_eq!(read(&memory, response).await, expected);
        }
    });
}

#[test]
fn a_body_in_pieces_is_whole_on_both_sides() {
    everywhere(|memory| async move {
        let client = HttpClient::new(memory.clone());
        let request = || HttpRequest::new("POST", "http://h/echo").expect("a URL");
        let mut upload = memory
            .insist(async || client.start(request(), BodyLength::Unknown).await)
            .await
            .expect("it is taken");
        for number in 0..PIECES {
            let sent = memory.insist(async || upload.send(piece(number).as_bytes()).await).await;
            assert!(sent.expect("it is read"));
        }
        let response = upload.finish().await.expect("it is answered");
        assert_eq!(read(&memory, response).await, pieces());
    });
}

#[test]
fn what_a_handler_sends_in_pieces_comes_whole() {
    everywhere(|memory| async move {
        let client = HttpClient::new(memory.clone());
        let get = async || client.get("http://h/stream").await;
        let response = memory.insist(get).await.expect("it is answered");
        assert_eq!(read(&memory, response).await, pieces());
        let get = async || client.get("http://h/events").await;
        let response = memory.insist(get).await.expect("it is answered");
        let events: String = (0..PIECES).map(|n| format!("data: {}\n\n", piece(n))).collect();
        assert_eq!(read(&memory, response).await, events);
    });
}

#[test]
fn a_handler_that_waits_learns_that_its_client_has_left() {
    everywhere(|memory| async move {
        let client = HttpClient::new(memory.clone());
        // Nobody answers: it is given up where it waits, the latest after some time.
        for turns in 1..40 {
            let mut turns = turns;
            let mut asked = std::pin::pin!(client.get("http://h/wait"));
            std::future::poll_fn(|cx| {
                use std::task::Poll;
                assert!(asked.as_mut().poll(cx).is_pending());
                turns -= 1;
                cx.waker().wake_by_ref();
                if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        let response = client.post("http://h/echo", "still there").await.expect("it is answered");
        assert_eq!(read(&memory, response).await, "still there");
    });
}

#[test]
fn an_echo_loses_nothing_on_either_side() {
    everywhere(|memory| async move {
        let request = Request::new("ws://h/chat").expect("a URL");
        let connect =
            async || WebSocket::connect(memory.clone(), &request, Config::default()).await;
        let (mut socket, _) = memory.insist(connect).await.expect("it is open");
        for number in 0..PIECES {
            socket.queue_text(&piece(number)).expect("there is room");
            let said = memory.insist(async || socket.next().await.map(text)).await;
            assert_eq!(said, Some(Ok(piece(number))));
        }
        let close = async || socket.close(CloseCode::NORMAL, "").await;
        assert!(memory.insist(close).await.expect("it is closed").is_clean());
    });
}
