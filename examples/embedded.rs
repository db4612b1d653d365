//! The machine of an HTTP server in a loop of one's own: blocking sockets of the standard library, a
//! thread for each connection, and no runtime. What is sent comes back.
//!
//! ```text
//! embedded --listen 127.0.0.1:8080
//! curl --data hello http://127.0.0.1:8080/
//! ```

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tidewire::http::{BodyLength, NO_FIELDS, Server, ServerConfig, ServerEvent, Status};
use tidewire::{Clock, RecvBuf, SendBuf, Transport};
use tidewire_examples::Flags;

fn main() -> ExitCode {
    match listen(Flags::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = flags.listen("127.0.0.1:8080")?;
    flags.end()?;
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    for socket in listener.incoming() {
        // A client that is gone already is no reason to end.
        let Ok(socket) = socket else { continue };
        std::thread::spawn(move || serve(&socket));
    }
    Ok(())
}

/// One connection, to its end.
fn serve(mut socket: &TcpStream) -> io::Result<()> {
    let clock = Clock::starting_at(Instant::now());
    let mut now = clock.instant(Instant::now());
    let (mut rx, mut tx) = (RecvBuf::with_limit(64 * 1024), SendBuf::new());
    let mut http = Server::new(ServerConfig::default(), now);
    loop {
        // Take what has come, and answer while it is lent.
        while let Some(event) = http.poll_event(now, &mut rx, &mut tx) {
            let answered = match event {
                ServerEvent::Request(head) => {
                    // The answer begins before the body is there: so a client that asks is told that
                    // it is wanted.
                    if head.headers.contains_token("expect", "100-continue") {
                        http.inform(Status::CONTINUE, NO_FIELDS, &mut tx)
                            .map_err(io::Error::other)?;
                    }
                    let fields = [("Content-Type", "text/plain"), ("Path", head.path())];
                    http.respond(Status::OK, fields, BodyLength::Unknown, now, &mut tx)
                }
                ServerEvent::Data(data) => http.send_data(data, &mut tx),
                ServerEvent::End(_) => http.finish(&mut tx),
                _ => Ok(()),
            };
            answered.map_err(io::Error::other)?;
        }
        // Write what waits. A client that takes nothing of it must not hold the thread.
        socket.set_write_timeout(Some(Duration::from_secs(30)))?;
        while !tx.is_empty() {
            let written = socket.write(tx.chunk())?;
            tx.consume(written);
        }
        // What the machine wants of the socket.
        match http.transport() {
            Transport::Open => {}
            Transport::CloseWrite => socket.shutdown(Shutdown::Write)?,
            _ => return Ok(()),
        }
        // Sleep until there is something to read or a deadline has come.
        now = clock.instant(Instant::now());
        let patience = http.poll_timeout().map(|at| at.saturating_since(now));
        if patience == Some(Duration::ZERO) {
            http.handle_timeout(now, &mut tx);
            continue;
        }
        socket.set_read_timeout(patience)?;
        // There is room: everything is answered at once.
        match socket.read(rx.spare(4096)) {
            Ok(0) => rx.finish(),
            Ok(n) => rx.commit(n),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        now = clock.instant(Instant::now());
    }
}
