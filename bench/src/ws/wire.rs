//! A transport in memory: what is read comes round again for ever, what is written is gone.

use futures::io as future_io;
use std::cell::RefCell;
use std::hint::black_box;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io as tokio_io;

/// It is always ready, for the blocking and for both kinds of asynchronous callers.
#[derive(Clone, Default)]
pub(super) struct Wire {
    bytes: Rc<[u8]>,
    at: usize,
    /// The most bytes that one read brings.
    most: usize,
    /// What was written, for whoever checks it.
    written: Option<Rc<RefCell<Vec<u8>>>>,
}

impl Wire {
    pub(super) fn new(bytes: &Rc<[u8]>, most: usize) -> Self {
        Self { bytes: bytes.clone(), at: 0, most, written: None }
    }

    /// One that keeps what is written.
    pub(super) fn kept(written: &Rc<RefCell<Vec<u8>>>) -> Self {
        Self { written: Some(written.clone()), ..Self::default() }
    }

    /// What a read into `room` bytes brings.
    #[inline]
    pub(super) fn next(&mut self, room: usize) -> &[u8] {
        let (from, rest) = (self.at, self.bytes.len() - self.at);
        let n = room.min(self.most).min(rest);
        self.at = if n == rest { 0 } else { from + n };
        &self.bytes[from..from + n]
    }

    /// Reads.
    #[inline]
    pub(super) fn read_into(&mut self, room: &mut [u8]) -> usize {
        let bytes = self.next(room.len());
        room[..bytes.len()].copy_from_slice(bytes);
        bytes.len()
    }

    /// Writes.
    #[inline]
    pub(super) fn wrote(&mut self, bytes: &[u8]) -> usize {
        match &self.written {
            None => black_box(bytes).len(),
            Some(written) => {
                written.borrow_mut().extend_from_slice(bytes);
                bytes.len()
            }
        }
    }

    #[inline]
    fn take_all(&mut self, slices: &[IoSlice<'_>]) -> usize {
        slices.iter().map(|slice| self.wrote(slice)).sum()
    }
}

impl Read for Wire {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_into(room))
    }
}

impl Write for Wire {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.wrote(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tokio_io::AsyncRead for Wire {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut tokio_io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        room.put_slice(self.next(room.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl tokio_io::AsyncWrite for Wire {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.wrote(bytes)))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.take_all(slices)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl future_io::AsyncRead for Wire {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.read_into(room)))
    }
}

impl future_io::AsyncWrite for Wire {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.wrote(bytes)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
