//! A server in a process of its own: told what to publish, and asked what it uses.

use super::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// A server in a process of its own. Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Process {
    /// Has this program run `command` with the server's name.
    pub(crate) fn start(command: &str, name: &str) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args([command, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = child.stdin.take().ok_or("no stdin")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, commands, answers, address };
        process.address = process.answer()?.parse()?;
        Ok(process)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn publish(&mut self, events: u64) -> Result<()> {
        Ok(self.commands.write_all(format!("publish {events}\n").as_bytes())?)
    }

    /// How many bytes of heap the server has in use.
    pub(crate) fn held(&mut self) -> Result<usize> {
        self.commands.write_all(b"held\n")?;
        Ok(self.answer()?.parse()?)
    }

    /// How many bytes of the server are in memory.
    pub(crate) fn resident(&self) -> Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
    }

    /// How long the server's threads were on a processor, in the kernel too.
    pub(crate) fn busy(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            nanoseconds += stat.split(' ').next().ok_or("no schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As many descriptors as this process may have.
pub(crate) fn allow_many_sockets() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
