use super::*;
use crate::ws::deflate::Inflater;

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
