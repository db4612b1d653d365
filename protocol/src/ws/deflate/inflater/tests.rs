use alloc::vec;
use alloc::vec::Vec;

use super::*;

/// Payload in pieces of `step` bytes, into outputs of `room` bytes.
fn inflate(
    inflater: &mut Inflater,
    payload: &[u8],
    step: usize,
    room: usize,
) -> Result<Vec<u8>, Invalid> {
    let mut message = Vec::new();
    let mut output = vec![0; room];
    for mut piece in payload.chunks(step) {
        while !piece.is_empty() {
            let (read, written) = inflater.inflate(piece, &mut output)?;
            assert!(read > 0 || written > 0, "stuck");
            piece = &piece[read..];
            message.extend(&output[..written]);
        }
    }
    loop {
        let (written, done) = inflater.finish(&mut output)?;
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
            assert_eq!(inflated, Err(Invalid), "{payload:x?} by {step} to {room}");
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
    assert_eq!(inflate(&mut inflater, second, 9, 9), Err(Invalid));
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
