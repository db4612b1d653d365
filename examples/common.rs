//! What the examples share: the flags, and one line to choose the runtime by one of them.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use tidewire_runtime::SendRuntime;

/// The command line of an example.
pub struct Flags(pico_args::Arguments);

impl Flags {
    /// What stands behind the program's name.
    #[must_use]
    pub fn from_env() -> Self {
        Self(pico_args::Arguments::from_env())
    }

    /// The value of `--name`, or `default`.
    pub fn value(&mut self, name: &'static str, default: &str) -> String {
        self.0.value_from_str(name).unwrap_or_else(|_| default.to_owned())
    }

    /// Whether `--name` is there.
    pub fn switch(&mut self, name: &'static str) -> bool {
        self.0.contains(name)
    }

    /// Where to listen: the value of `--listen`, or `default`.
    ///
    /// # Errors
    /// If it is no IP address with a port.
    pub fn listen(&mut self, default: &str) -> Result<SocketAddr, Box<dyn Error>> {
        let address = self.value("--listen", default);
        address.parse().map_err(|error| format!("--listen {address}: {error}").into())
    }

    /// To be called when all flags were asked for.
    ///
    /// # Errors
    /// If there are others.
    pub fn end(self) -> Result<(), Box<dyn Error>> {
        match self.0.finish().first() {
            Some(unknown) => Err(format!("what is {unknown:?}? See the top of the example").into()),
            None => Ok(()),
        }
    }
}

/// A program that runs on any runtime.
pub trait Program {
    /// The program. What it fails with is printed, and the exit code is not zero.
    fn run<R: SendRuntime>(
        self,
        runtime: R,
        flags: Flags,
    ) -> impl Future<Output = Result<(), Box<dyn Error>>>;
}

/// Runs `program` on the runtime that `--runtime smol|async-std|tokio` names; smol unless said
/// otherwise.
pub fn main(program: impl Program) -> ExitCode {
    let mut flags = Flags::from_env();
    let result = match flags.value("--runtime", "smol").as_str() {
        "smol" => smol::block_on(program.run(tidewire_smol::Smol, flags)),
        "async-std" => async_std::task::block_on(program.run(tidewire_async_std::AsyncStd, flags)),
        "tokio" => match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(tokio) => tokio.block_on(program.run(tidewire_tokio::Tokio, flags)),
            Err(error) => Err(error.into()),
        },
        other => Err(format!("--runtime {other}: there are smol, async-std and tokio").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The programs in the README compile as they stand there.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
