//! Frame headers (RFC 6455, 5.2).
//!
//! ```text
//!   0                1                2 .. 10            .. 14
//!  +-+---+--------+-+-----------+------------------+----------+---------
//!  |F|RSV| opcode |M| length 7  | length 16 or 64  | mask key | payload
//!  +-+---+--------+-+-----------+------------------+----------+---------
//! ```

use super::error::ProtocolErrorKind as Kind;
use super::mask::Key;
use super::{MessageKind, Role};

/// The longest header, in bytes.
pub(super) const MAX_HEADER: usize = 14;

/// The longest payload of a control frame, in bytes (5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// The first reserved bit; an extension may give it a meaning.
pub(super) const RSV1: u8 = 0x40;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const MASK: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpCode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl OpCode {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    pub(super) const fn is_control(self) -> bool {
        self as u8 >= 0x8
    }
}

/// A header that was received and breaks no rule that it can break on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) opcode: OpCode,
    /// Whether the first reserved bit is set; only if [`Rules`] allow it.
    pub(super) rsv1: bool,
    pub(super) mask: Option<Key>,
    pub(super) payload: u64,
}

/// What a received header is held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Who sent it: a client masks and a server does not (5.1).
    pub(super) sender: Role,
    /// The reserved bits that an extension defines for the first frame of a message.
    pub(super) reserved: u8,
    /// Whether a mask may be missing, or there, where it must not.
    pub(super) any_mask: bool,
    /// Whether a length may take a longer form than it needs.
    pub(super) any_length: bool,
}

/// Decodes the header at the front of `raw` and returns it with its length; `None` if more bytes
/// are needed. What can be refused by the first two bytes is refused when they are there.
#[inline]
pub(super) fn decode(raw: &[u8], rules: Rules) -> Result<Option<(Header, usize)>, Kind> {
    let [first, second, rest @ ..] = raw else { return Ok(None) };
    let opcode = OpCode::from_bits(first & 0x0F).ok_or(Kind::ReservedOpcode)?;
    let fin = first & FIN != 0;
    let begins = matches!(opcode, OpCode::Text | OpCode::Binary);
    if first & RSV & !(if begins { rules.reserved } else { 0 }) != 0 {
        return Err(Kind::ReservedBit);
    }
    let short = second & !MASK;
    if opcode.is_control() {
        if !fin {
            return Err(Kind::FragmentedControl);
        }
        if usize::from(short) > MAX_CONTROL {
            return Err(Kind::ControlTooLong);
        }
    }
    let masked = second & MASK != 0;
    match (rules.sender, masked) {
        (Role::Client, false) if !rules.any_mask => return Err(Kind::UnmaskedByClient),
        (Role::Server, true) if !rules.any_mask => return Err(Kind::MaskedByServer),
        _ => {}
    }
    let (payload, rest) = match short {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*length), rest)
        }
        _ => (u64::from(short), rest),
    };
    match (short, payload) {
        (126, ..126) | (127, ..0x1_0000) if !rules.any_length => {
            return Err(Kind::LengthNotMinimal);
        }
        (127, 0x8000_0000_0000_0000..) => return Err(Kind::LengthOutOfRange),
        _ => {}
    }
    let (mask, rest) = if masked {
        let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
        (Some(*key), rest)
    } else {
        (None, rest)
    };
    let rsv1 = first & RSV1 != 0;
    Ok(Some((Header { fin, opcode, rsv1, mask, payload }, raw.len() - rest.len())))
}

/// A header of the most frequent kind: a message that is one frame of less than 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) kind: MessageKind,
    pub(super) mask: Option<Key>,
    pub(super) header: usize,
    pub(super) payload: usize,
}

/// Decodes what `raw` begins with if it is [`Plain`] and all of its payload, which is not empty, is
/// there. Anything else, right or wrong, is for [`decode`].
#[inline]
pub(super) fn decode_plain(raw: &[u8], rules: Rules) -> Option<Plain> {
    let ([first, second], rest) = raw.split_first_chunk()?;
    let kind = match first {
        0x81 => MessageKind::Text,
        0x82 => MessageKind::Binary,
        _ => return None,
    };
    let (payload, rest) = match second & !MASK {
        0 | 127 => return None,
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u16::from_be_bytes(*length), rest)
        }
        short => (u16::from(short), rest),
    };
    if second & !MASK == 126 && payload < 126 {
        return None;
    }
    let (mask, rest) = match (rules.sender, second & MASK != 0) {
        (Role::Client, true) => {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(*key), rest)
        }
        (Role::Server, false) => (None, rest),
        _ => return None,
    };
    let payload = usize::from(payload);
    (payload <= rest.len()).then_some(Plain { kind, mask, header: raw.len() - rest.len(), payload })
}

impl Header {
    /// Encodes the header, its length in the shortest form, and returns how many bytes it took. What
    /// is behind them in `out` is unspecified: the payload comes there.
    #[inline]
    pub(super) fn encode(&self, out: &mut [u8; MAX_HEADER]) -> usize {
        let fin = if self.fin { FIN } else { 0 };
        let rsv1 = if self.rsv1 { RSV1 } else { 0 };
        let (masked, key) = match self.mask {
            Some(key) => (MASK, u32::from_le_bytes(key)),
            None => (0, 0),
        };
        let key_len = if self.mask.is_some() { 4 } else { 0 };
        // The bytes in their order from the lowest, stored at once.
        let first = u64::from(self.opcode as u8 | fin | rsv1);
        let key = u64::from(key);
        match self.payload {
            len @ ..126 => {
                let second = u64::from(masked) | len;
                out[..8].copy_from_slice(&(first | second << 8 | key << 16).to_le_bytes());
                2 + key_len
            }
            len @ 126..0x1_0000 => {
                let (second, len) = (u64::from(masked | 126), u64::from((len as u16).swap_bytes()));
                let header = first | second << 8 | len << 16 | key << 32;
                out[..8].copy_from_slice(&header.to_le_bytes());
                4 + key_len
            }
            len => {
                out[0] = first as u8;
                out[1] = masked | 127;
                out[2..10].copy_from_slice(&len.to_be_bytes());
                out[10..].copy_from_slice(&(key as u32).to_le_bytes());
                10 + key_len
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const FROM_SERVER: Rules =
        Rules { sender: Role::Server, reserved: 0, any_mask: false, any_length: false };
    const FROM_CLIENT: Rules = Rules { sender: Role::Client, ..FROM_SERVER };

    #[test]
    fn the_first_two_bytes_are_enough_to_refuse() {
        let refuse = |raw: &[u8], rules| decode(raw, rules).unwrap_err();
        assert_eq!(refuse(&[0xF1, 0], FROM_SERVER), Kind::ReservedBit);
        assert_eq!(refuse(&[0x83, 0], FROM_SERVER), Kind::ReservedOpcode);
        assert_eq!(refuse(&[0x8B, 0], FROM_SERVER), Kind::ReservedOpcode);
        assert_eq!(refuse(&[0x09, 0], FROM_SERVER), Kind::FragmentedControl);
        assert_eq!(refuse(&[0x89, 126], FROM_SERVER), Kind::ControlTooLong);
        assert_eq!(refuse(&[0x81, 0x80], FROM_SERVER), Kind::MaskedByServer);
        assert_eq!(refuse(&[0x81, 0x00], FROM_CLIENT), Kind::UnmaskedByClient);
    }

    #[test]
    fn an_extension_may_define_a_reserved_bit_of_the_first_frame_only() {
        let rules = Rules { reserved: RSV1, ..FROM_SERVER };
        assert!(decode(&[0xC1, 0], rules).unwrap().unwrap().0.rsv1);
        assert_eq!(decode(&[0xC0, 0], rules), Err(Kind::ReservedBit));
        assert_eq!(decode(&[0xC9, 0], rules), Err(Kind::ReservedBit));
        assert_eq!(decode(&[0xA1, 0], rules), Err(Kind::ReservedBit));
    }

    #[test]
    fn lengths_must_be_in_their_shortest_form_and_below_2_to_the_63() {
        let refuse = |raw: &[u8]| decode(raw, FROM_SERVER).unwrap_err();
        assert_eq!(refuse(&[0x82, 126, 0, 125]), Kind::LengthNotMinimal);
        assert_eq!(refuse(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), Kind::LengthNotMinimal);
        assert_eq!(refuse(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Kind::LengthOutOfRange);
    }

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (payload, len) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let header =
                Header { fin: true, opcode: OpCode::Binary, rsv1: false, mask: None, payload };
            assert_eq!(header.encode(&mut [0; MAX_HEADER]), len);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_every_shorter_piece_is_incomplete(
            fin: bool, binary: bool, rsv1: bool, key: Option<Key>,
            payload in prop_oneof![0..200_u64, 65_000..66_000_u64, 0..1_u64 << 63],
        ) {
            let opcode = if binary { OpCode::Binary } else { OpCode::Text };
            let header = Header { fin, opcode, rsv1, mask: key, payload };
            let sender = if key.is_some() { Role::Client } else { Role::Server };
            let rules = Rules { sender, reserved: RSV1, ..FROM_SERVER };
            let mut out = [0; MAX_HEADER];
            let len = header.encode(&mut out);
            prop_assert_eq!(decode(&out[..len], rules), Ok(Some((header, len))));
            for short in 0..len {
                prop_assert_eq!(decode(&out[..short], rules), Ok(None));
            }
        }

        /// Whatever is taken as plain is what the standard's way of reading says that it is.
        #[test]
        fn plain_is_no_other_opinion(
            first in prop_oneof![Just(0x81), Just(0x82), any::<u8>()],
            second: u8,
            rest in proptest::collection::vec(any::<u8>(), 0..400),
            client: bool,
        ) {
            let mut raw = vec![first, second];
            raw.extend(rest);
            let rules = if client { FROM_CLIENT } else { FROM_SERVER };
            let decoded = decode(&raw, rules);
            match (decode_plain(&raw, rules), decoded) {
                (Some(plain), Ok(Some((header, len)))) => {
                    prop_assert!(header.fin && !header.rsv1);
                    prop_assert_eq!((plain.header, plain.mask), (len, header.mask));
                    prop_assert_eq!(plain.payload as u64, header.payload);
                    prop_assert_eq!(plain.kind, MessageKind::of(header.opcode));
                    prop_assert!(header.opcode != OpCode::Continuation);
                }
                (Some(plain), other) => prop_assert!(false, "{plain:?} is {other:?}"),
                (None, Ok(Some((header, len)))) => prop_assert!(
                    !header.fin || header.rsv1 || header.payload == 0
                        || !matches!(header.opcode, OpCode::Text | OpCode::Binary)
                        || header.payload >= 1 << 16 || (raw.len() - len) < header.payload as usize
                ),
                (None, _) => {}
            }
        }
    }
}
