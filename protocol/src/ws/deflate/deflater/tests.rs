use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::ws::deflate::Inflater;
use crate::ws::deflate::reference::{Reference, message};

/// 7.2.3.1, 7.2.3.2, 7.2.3.6. The second time there is more than one way to say it.
#[test]
fn payloads_end_without_the_tail() {
    let mut deflater = Deflater::new(15, true, 6, 0);
    assert_eq!(deflater.deflate(b"Hello", true), [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]);
    assert!(deflater.deflate(b"Hello", true).len() <= 5);
    assert_eq!(deflater.deflate(b"", true), [0]);
    assert!(deflater.deflate(b"Hello", true).len() <= 5);
    let mut deflater = Deflater::new(15, false, 6, 0);
    for _ in 0..2 {
        assert_eq!(deflater.deflate(b"Hello", true), [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]);
    }
}

/// Each piece can be read when it comes; the tail is owed until the next.
#[test]
fn pieces_leave_at_once() {
    let mut deflater = Deflater::new(15, true, 6, 0);
    let mut inflater = Inflater::new(15, true);
    let mut output = [0; 64];
    for _ in 0..3 {
        for piece in ["", "Hello", "", ", ", "world"] {
            let payload = deflater.deflate(piece.as_bytes(), false);
            let (read, written) = inflater.inflate(payload, &mut output).unwrap();
            assert_eq!((read, &output[..written]), (payload.len(), piece.as_bytes()));
        }
        assert_eq!(deflater.deflate(b"", true), []);
        assert_eq!(inflater.finish(&mut output), Ok((0, true)));
    }
}

/// All of a message's payload into outputs of `room` bytes.
fn inflate(inflater: &mut Inflater, payload: &[u8], room: usize) -> Vec<u8> {
    let (mut message, mut output) = (Vec::new(), alloc::vec![0; room]);
    let mut rest = payload;
    while !rest.is_empty() {
        let (read, written) = inflater.inflate(rest, &mut output).unwrap();
        rest = &rest[read..];
        message.extend(&output[..written]);
    }
    loop {
        let (written, done) = inflater.finish(&mut output).unwrap();
        message.extend(&output[..written]);
        if done {
            return message;
        }
    }
}

/// 7.1.2: no distance is beyond the window that was agreed on, though the backend knows none of 256
/// bytes.
#[test]
fn the_agreed_window_is_kept_at_every_level() {
    // Everything comes again, at each distance that could be one.
    let mut message = Vec::new();
    for period in (200..700).chain([1024, 2048, 4096, 8192, 16384, 32768]) {
        let mut byte = period as u32;
        let from = message.len();
        message.extend((0..period).map(|_| {
            byte = byte.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (byte >> 24) as u8
        }));
        message.extend_from_within(from..);
    }
    for window_bits in 8..=15 {
        for level in 1..=9 {
            let mut deflater = Deflater::new(window_bits, true, level, 0);
            let mut reference = Reference::new(true);
            for half in message.chunks(message.len() / 2 + 1) {
                let payload = deflater.deflate(half, true);
                assert!(reference.message(payload).as_deref() == Some(half));
            }
            let (furthest, window) = (reference.furthest, 1 << window_bits);
            assert!(furthest <= window, "{furthest} of {window} at level {level}");
            assert!(furthest > window / 3, "{furthest} of {window} at level {level}");
        }
    }
}

/// A flush that fills the room to its last byte is whole nevertheless.
#[test]
fn no_length_of_output_is_special() {
    let mut byte = 1u32;
    let random: Vec<u8> = core::iter::repeat_with(|| {
        byte = byte.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (byte >> 24) as u8
    })
    .take(700)
    .collect();
    for level in [1, 6, 9] {
        for len in 0..random.len() {
            let mut deflater = Deflater::new(9, true, level, 0);
            let payload = deflater.deflate(&random[..len], true);
            assert_eq!(Reference::new(true).message(payload).as_deref(), Some(&random[..len]));
            // Nine bits a byte: level 1 knows no stored blocks.
            assert!(payload.len() <= len + len / 8 + 8, "{len} to {}", payload.len());
        }
    }
}

#[test]
fn memory_is_taken_late_used_again_and_given_back() {
    let mut deflater = Deflater::new(15, true, 6, 64);
    assert_eq!(
        (deflater.heap_size(), deflater.is_worth(63), deflater.is_worth(64)),
        (0, false, true)
    );
    assert_eq!(deflater.deflate(b"", true), [0]);
    assert_eq!(deflater.heap_size(), 0);
    deflater.deflate(&[7; 10_000], true);
    let held = deflater.heap_size();
    for len in 0..100 {
        deflater.deflate(&[7; 10_000][..len], true);
        assert_eq!(deflater.heap_size(), held);
    }
    deflater.shrink();
    assert_eq!(deflater.heap_size(), 0);
}

proptest! {
    /// Messages arrive as they were sent: whole or in pieces, with any window at any level, with memory
    /// given back on either side or not.
    #[test]
    fn messages_arrive(
        messages in vec((message(3000), vec(any::<Index>(), 0..4), any::<[bool; 2]>()), 1..5),
        window_bits in 8..=15u8,
        takeover: bool,
        level in 1..=9u8,
        room in prop_oneof![1..20usize, Just(4096)],
    ) {
        let mut deflater = Deflater::new(window_bits, takeover, level, 0);
        let mut inflater = Inflater::new(window_bits, takeover);
        let mut reference = Reference::new(takeover);
        for (message, cuts, [sender, receiver]) in messages {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
            cuts.sort_unstable();
            let (mut payload, mut from) = (Vec::new(), 0);
            for cut in cuts {
                payload.extend(deflater.deflate(&message[from..cut], false));
                from = cut;
                if sender {
                    deflater.shrink();
                }
            }
            payload.extend(deflater.deflate(&message[from..], true));
            prop_assert_eq!(&inflate(&mut inflater, &payload, room), &message);
            prop_assert_eq!(reference.message(&payload), Some(message));
            prop_assert!(reference.furthest <= 1 << window_bits);
            if receiver {
                inflater.shrink();
            }
        }
    }
}
