use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::ws::deflate::Deflater;
use crate::ws::deflate::reference::{Reference, message};

/// Payload in pieces of `step` bytes, into outputs of `room` bytes.
fn inflate(
    inflater: &mut Inflater,
    payload: &[u8],
    step: usize,
    room: usize,
) -> Result<Vec<u8>, ()> {
    let mut message = Vec::new();
    let mut output = alloc::vec![0; room];
    for mut piece in payload.chunks(step) {
        while !piece.is_empty() {
            let (read, written) = inflater.inflate(piece, &mut output).map_err(|_| ())?;
            assert!(read > 0 || written > 0, "stuck");
            piece = &piece[read..];
            message.extend(&output[..written]);
        }
    }
    loop {
        let (written, done) = inflater.finish(&mut output).map_err(|_| ())?;
        message.extend(&output[..written]);
        if done {
            return Ok(message);
        }
        assert!(written > 0, "stuck at the end");
    }
}

const PIECES: [usize; 4] = [1, 2, 3, 4096];

/// Payloads of one connection, and what they stand for.
type Messages<'a> = &'a [(&'a [u8], &'a [u8])];

/// The messages, in pieces of all sizes.
fn are(takeover: bool, messages: Messages<'_>) {
    for step in PIECES {
        for room in PIECES {
            let mut inflater = Inflater::new(15, takeover);
            for (payload, message) in messages {
                let inflated = inflate(&mut inflater, payload, step, room);
                assert_eq!(inflated.as_deref(), Ok(*message), "{payload:x?} by {step} to {room}");
            }
        }
    }
}

fn are_not(payload: &[u8]) {
    for step in PIECES {
        for room in PIECES {
            let mut inflater = Inflater::new(15, true);
            let inflated = inflate(&mut inflater, payload, step, room);
            assert_eq!(inflated, Err(()), "{payload:x?} by {step} to {room}");
        }
    }
}

const HELLO: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

/// 7.2.3.1: "Hello" in one block with fixed codes.
#[test]
fn a_message_in_one_compressed_block() {
    are(false, &[(HELLO, b"Hello")]);
}

/// 7.2.3.2: the second time it is a reference to the first.
#[test]
fn messages_share_the_window_with_context_takeover_alone() {
    let second: &[u8] = &[0xF2, 0x00, 0x11, 0x00, 0x00];
    are(true, &[(HELLO, b"Hello"), (second, b"Hello"), (HELLO, b"Hello")]);
    are(false, &[(HELLO, b"Hello"), (HELLO, b"Hello")]);
    let mut inflater = Inflater::new(15, false);
    assert_eq!(inflate(&mut inflater, HELLO, 9, 9).as_deref(), Ok(&b"Hello"[..]));
    assert_eq!(inflate(&mut inflater, second, 9, 9), Err(()));
}

/// 7.2.3.3: a block that is stored.
#[test]
fn a_message_in_a_block_without_compression() {
    let stored = [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00];
    are(true, &[(&stored, b"Hello"), (&stored, b"Hello")]);
}

const FINAL: &[u8] = &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00];

/// 7.2.3.4: the end of a final block is not the message's end, and not the window's.
#[test]
fn a_final_block_ends_nothing() {
    are(true, &[(FINAL, b"Hello"), (FINAL, b"Hello"), (&[0xF2, 0x00, 0x11, 0x00, 0x00], b"Hello")]);
    are(false, &[(FINAL, b"Hello"), (FINAL, b"Hello")]);
    let twice = [&FINAL[..7], HELLO].concat();
    are(false, &[(&twice, b"HelloHello")]);
    let back = [&FINAL[..7], &[0xF2, 0x00, 0x11, 0x00, 0x00]].concat();
    are(false, &[(&back, b"HelloHello"), (&back, b"HelloHello")]);
    // The empty block at the end may be the final one.
    are(true, &[(&[0x01], b""), (&[0x01], b""), (HELLO, b"Hello")]);
}

/// 7.2.3.5: "Hello" in two blocks, with a flush between them.
#[test]
fn a_message_in_two_blocks() {
    let two = [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00];
    are(true, &[(&two, b"Hello"), (&two, b"Hello")]);
}

/// 7.2.3.6: the one byte of an empty message.
#[test]
fn an_empty_message() {
    are(
        true,
        &[(&[0], b""), (HELLO, b"Hello"), (&[0], b""), (&[0xF2, 0x00, 0x11, 0x00, 0x00], b"Hello")],
    );
}

/// Against 7.2.1, but clear.
#[test]
fn a_message_may_end_between_two_blocks_without_the_beginning_of_an_empty_one() {
    are(true, &[(&[], b""), (&FINAL[..7], b"Hello"), (&[], b""), (HELLO, b"Hello")]);
}

/// 7.2.2: whatever is cut off makes the message end inside a block. What comes without a final block is
/// shown, what is missing too.
#[test]
fn a_message_does_not_end_inside_a_block() {
    for end in 1..HELLO.len() {
        are_not(&HELLO[..end]);
    }
    for end in 1..7 {
        are_not(&FINAL[..end]);
    }
    // A stored block of four bytes, which are not the tail's.
    are_not(&[0x00, 0x04, 0x00, 0xFB, 0xFF]);
    // The tail was not taken off.
    are_not(&[HELLO, &TAIL].concat());
}

/// RFC 1951, 3.2: a block of no type, lengths that don't agree, a distance to before the beginning.
#[test]
fn what_is_no_block_is_refused() {
    are_not(&[0x07]);
    are_not(&[0x00, 0x05, 0x00, 0xFA, 0xFE, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00]);
    are_not(&[0xF2, 0x00, 0x11, 0x00, 0x00]);
}

/// Bits in the order of RFC 1951, 3.1.1.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    len: usize,
}

impl Writer {
    /// The least significant bit first.
    fn number(&mut self, value: usize, bits: usize) {
        for bit in 0..bits {
            if self.len % 8 == 0 {
                self.bytes.push(0);
            }
            let byte = self.len / 8;
            self.bytes[byte] |= ((value >> bit & 1) as u8) << (self.len % 8);
            self.len += 1;
        }
    }

    /// The most significant bit first.
    fn code(&mut self, code: usize, bits: usize) {
        for bit in (0..bits).rev() {
            self.number(code >> bit & 1, 1);
        }
    }
}

/// The payload of a block with codes of its own, cut where the lengths of the distances' codes come. The
/// tail's zeros are those, sixteen times 4, and `ones` of its ones are the code for the block's end.
fn block_that_ends_in_the_tail(ones: usize) -> Vec<u8> {
    let mut lengths = Writer::default();
    // A code of its own, 256 lengths and one, 16 distances, all 19 lengths of the code for lengths.
    lengths.number(0b100, 3);
    lengths.number(0, 5);
    lengths.number(15, 5);
    lengths.number(15, 4);
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
        let bits = match symbol {
            4 => 1,
            18 => 4,
            0 | 16 | 17 => 0,
            _ => 5,
        };
        lengths.number(bits, 3);
    }
    let length = |writer: &mut Writer, length: usize| match length {
        4 => writer.code(0, 1),
        ..4 => writer.code(0b10001 + length, 5),
        _ => writer.code(0b10000 + length, 5),
    };
    // One byte has a code of one bit, one of two, and so on; the end's is the longest.
    for bits in 1..=ones {
        length(&mut lengths, bits);
    }
    for zeros in [138, 256 - ones - 138] {
        lengths.code(0b1000, 4);
        lengths.number(zeros - 11, 7);
    }
    length(&mut lengths, ones);
    // Blocks with fixed codes before it, that the payload ends with a byte.
    let mut payload = Writer::default();
    if lengths.len % 2 == 1 {
        payload.number(0b010, 3);
        payload.code(0b1_1001_0000, 9);
        payload.code(0, 7);
    }
    while (payload.len + lengths.len) % 8 != 0 {
        payload.number(0b010, 3);
        payload.code(0, 7);
    }
    for bit in 0..lengths.len {
        payload.number(usize::from(lengths.bytes[bit / 8] >> (bit % 8)), 1);
    }
    payload.bytes
}

/// One and two bits of the tail are left, which alone are no error.
#[test]
fn a_block_that_ends_inside_the_last_byte_of_the_tail_is_refused() {
    for ones in [15, 14, 13] {
        let payload = block_that_ends_in_the_tail(ones);
        are_not(&payload);
        // With the rest of the lengths, the end, and an empty block it is a message.
        let mut whole = Writer { len: payload.len() * 8, bytes: payload };
        whole.number(0, 16);
        whole.number((1 << ones) - 1, ones);
        whole.number(0, 3);
        let message: &[u8] = if ones == 14 { &[144] } else { &[] };
        are(true, &[(&whole.bytes, message), (HELLO, b"Hello")]);
    }
}

#[test]
fn memory_is_taken_late_and_given_back() {
    let mut inflater = Inflater::new(9, true);
    assert_eq!(inflater.heap_size(), 0);
    assert_eq!(inflate(&mut inflater, HELLO, 9, 9).as_deref(), Ok(&b"Hello"[..]));
    assert!(inflater.heap_size() > 1 << 15);
    inflater.shrink();
    assert_eq!(inflater.heap_size(), 5);
    // Not inside a message.
    assert_eq!(inflater.inflate(&HELLO[..3], &mut [0; 9]), Ok((3, 2)));
    inflater.shrink();
    assert_eq!(inflater.inflate(&HELLO[3..], &mut [0; 9]), Ok((4, 3)));
    assert_eq!(inflater.finish(&mut [0; 9]), Ok((0, true)));
    // A stored block of 1000 bytes, of which the window keeps 512.
    let stored = [&[0x00, 0xE8, 0x03, 0x17, 0xFC][..], &[b'x'; 1000], &[0]].concat();
    assert_eq!(inflate(&mut inflater, &stored, 7, 70).map(|message| message.len()), Ok(1000));
    inflater.shrink();
    assert_eq!(inflater.heap_size(), 512);
    let mut inflater = Inflater::new(15, false);
    assert_eq!(inflate(&mut inflater, &stored, 7, 70).map(|message| message.len()), Ok(1000));
    inflater.shrink();
    assert_eq!(inflater.heap_size(), 0);
}

/// A compressor's payloads, blocks put together by hand, and anything, some of them spoilt.
fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let compressed = vec(message(600), 1..5);
    let block = prop_oneof![
        Just(&FINAL[..7]),
        Just(HELLO),
        Just(&[0x03, 0x00][..]),
        Just(&[0xF2, 0x00, 0x11, 0x00, 0x00][..]),
        Just(&TAIL[..]),
        Just(&[0x01, 0x00, 0x00, 0xFF, 0xFF][..]),
    ];
    let blocks = vec(vec(block, 0..5).prop_map(|blocks| blocks.concat()), 1..4);
    let spoilt = (any::<Index>(), 0..3u8, any::<u8>());
    let payloads = prop_oneof![
        (compressed, 1..=9u8, any::<bool>()).prop_map(|(messages, level, takeover)| {
            let mut deflater = Deflater::new(15, takeover, level, 0);
            messages.iter().map(|message| deflater.deflate(message, true).to_vec()).collect()
        }),
        blocks,
        vec(vec(any::<u8>(), 0..40), 1..4),
    ];
    (payloads, vec(spoilt, 0..4)).prop_map(|(mut payloads, spoilt): (Vec<Vec<u8>>, _)| {
        for (index, how, byte) in spoilt {
            let payload = index.get(&payloads).len();
            let which = index.index(payloads.len());
            let at = usize::from(byte) % (payload + 1);
            match how {
                0 => payloads[which].truncate(at),
                1 => payloads[which].push(byte),
                _ if payload > 0 => payloads[which][at % payload] ^= 1 << (byte % 8),
                _ => {}
            }
        }
        payloads
    })
}

proptest! {
    /// Any payloads, in any pieces, into any room, with memory given back or not, are what the blocks
    /// in them say, or none.
    #[test]
    fn payloads_are_what_their_blocks_say(
        payloads in payloads(),
        takeover: bool,
        step in 1..50usize,
        room in prop_oneof![1..20usize, Just(4096)],
        shrinks: u8,
    ) {
        let mut inflater = Inflater::new(15, takeover);
        let mut reference = Reference::new(takeover);
        for (index, payload) in payloads.iter().enumerate() {
            let inflated = inflate(&mut inflater, payload, step, room);
            let message = reference.message(payload).ok_or(());
            prop_assert_eq!(&inflated, &message);
            if message.is_err() {
                break;
            }
            if shrinks >> index & 1 == 1 {
                inflater.shrink();
            }
        }
    }
}
