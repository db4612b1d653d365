//! A peer in another language: a script that reads a case a line and writes a verdict a line.

use crate::case::{Case, Verdict};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Script {
    name: String,
    child: Child,
    /// `None` once the script has been told to end.
    to: Option<BufWriter<ChildStdin>>,
    from: BufReader<ChildStdout>,
}

impl Script {
    /// Starts `command`, whose words are separated by spaces.
    pub fn start(name: &str, command: &str) -> std::io::Result<Self> {
        let mut words = command.split(' ');
        let mut child = Command::new(words.next().unwrap_or_default())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().map(BufWriter::new);
        let from = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { name: name.into(), child, to, from })
    }

    pub fn judge(&mut self, case: &Case) -> Verdict {
        self.exchange(case).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn exchange(&mut self, case: &Case) -> std::io::Result<Verdict> {
        let to = self.to.as_mut().expect("it has not ended");
        serde_json::to_writer(&mut *to, case)?;
        to.write_all(b"\n")?;
        to.flush()?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.to = None;
        let _ = self.child.wait();
    }
}
