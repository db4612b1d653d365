//! Decoders that are given bytes and do no I/O.

use super::decode::{Check, Decode, take};
use bytes::Bytes;
use futures_codec::Decoder as _;
use std::num::NonZeroUsize;
use tidewire::RecvBuf;
use tidewire::sse::{Decoded, Decoder, Limits};

/// More than any event here has.
const LIMIT: usize = 128 << 20;

struct Tidewire {
    rx: RecvBuf,
    decoder: Decoder,
}

impl Tidewire {
    fn new() -> Self {
        let limits = Limits { line: LIMIT, event: LIMIT, ..Limits::default() };
        Self { rx: RecvBuf::with_limit(LIMIT), decoder: Decoder::new(limits) }
    }

    /// What a transport and a layer below would have done; the copy is that of the read.
    #[inline]
    fn receive(&mut self, bytes: &[u8]) {
        assert_eq!(self.rx.push(bytes), bytes.len());
        self.rx.keep(bytes.len());
    }
}

pub(super) fn tidewire_bytes() -> Box<dyn Decode> {
    struct AsBytes(Tidewire);
    impl Decode for AsBytes {
        fn read(&mut self, bytes: &Bytes, check: &mut Check<'_>) -> u64 {
            let mut events = 0;
            self.0.receive(bytes);
            while let Some(decoded) = self.0.decoder.poll_bytes(&mut self.0.rx).unwrap() {
                if let Decoded::Event(event) = decoded {
                    events += take(event.event_type.as_bytes(), event.data, check);
                }
            }
            events
        }
    }
    Box::new(AsBytes(Tidewire::new()))
}

pub(super) fn tidewire_text() -> Box<dyn Decode> {
    struct AsText(Tidewire);
    impl Decode for AsText {
        fn read(&mut self, bytes: &Bytes, check: &mut Check<'_>) -> u64 {
            let mut events = 0;
            self.0.receive(bytes);
            while let Some(decoded) = self.0.decoder.poll(&mut self.0.rx).unwrap() {
                if let Decoded::Event(event) = decoded {
                    events += take(event.event_type.as_bytes(), event.data.as_bytes(), check);
                }
            }
            events
        }
    }
    Box::new(AsText(Tidewire::new()))
}

impl Decode for sse_core::SseDecoder {
    fn read(&mut self, bytes: &Bytes, check: &mut Check<'_>) -> u64 {
        let (mut events, mut rest) = (0, &bytes[..]);
        while let Some(event) = self.next(&mut rest) {
            if let sse_core::SseEvent::Message(event) = event.unwrap() {
                events += take(event.event.as_bytes(), event.data.as_bytes(), check);
            }
        }
        events
    }
}

pub(super) fn sse_core() -> Box<dyn Decode> {
    Box::new(sse_core::SseDecoder::with_limit(NonZeroUsize::new(LIMIT).expect("not zero")))
}

impl Decode for sse_parse::SseParser {
    fn read(&mut self, bytes: &Bytes, check: &mut Check<'_>) -> u64 {
        let mut events = 0;
        self.feed(bytes);
        while let Some(event) = self.next_event() {
            events += take(event.event.as_bytes(), event.data.as_bytes(), check);
        }
        events
    }
}

pub(super) fn sse_parse() -> Box<dyn Decode> {
    Box::new(sse_parse::SseParser::new())
}

/// It decodes out of a buffer of its own, into which a transport reads.
pub(super) fn sse_codec() -> Box<dyn Decode> {
    #[derive(Default)]
    struct Codec {
        codec: sse_codec::SSECodec,
        buffer: futures_codec::BytesMut,
    }
    impl Decode for Codec {
        fn read(&mut self, bytes: &Bytes, check: &mut Check<'_>) -> u64 {
            let mut events = 0;
            self.buffer.extend_from_slice(bytes);
            while let Some(event) = self.codec.decode(&mut self.buffer).unwrap() {
                if let sse_codec::Event::Message { event, data, .. } = event {
                    events += take(event.as_bytes(), data.as_bytes(), check);
                }
            }
            events
        }
    }
    Box::new(Codec::default())
}
