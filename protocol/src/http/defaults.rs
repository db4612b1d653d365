//! Fields that a server adds to its responses.

use super::Misuse;
use super::outgoing::{check_fields, write_fields};
use crate::SendBuf;
use bytes::Bytes;

/// Fields for every final response that does not have one of the same name, those included that a
/// [`Server`](super::Server) writes by itself: see
/// [`Server::set_default_fields`](super::Server::set_default_fields).
///
/// They are checked and encoded once. A clone shares them.
///
/// ```
/// use tidewire::http::DefaultFields;
///
/// // RFC 9110, 6.6.1 and 10.2.4.
/// let date = "Sun, 06 Nov 1994 08:49:37 GMT";
/// let fields = DefaultFields::new([("Date", date), ("Server", "example")])?;
/// assert!(DefaultFields::new([("Server", "no\r\nbreaks")]).is_err());
/// # Ok::<(), tidewire::http::Misuse>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultFields {
    /// Each as it is sent, with its CRLF.
    lines: Bytes,
}

impl DefaultFields {
    /// These fields, in this order.
    ///
    /// # Errors
    /// [`Misuse`] for what cannot be sent, and for what tells of the body or the connection.
    pub fn new(
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
    ) -> Result<Self, Misuse> {
        check_fields(fields.clone())?;
        let own = |(name, _): &(_, _)| {
            let name: &str = AsRef::<str>::as_ref(name);
            ["Connection", "Upgrade"].iter().any(|own| name.eq_ignore_ascii_case(own))
        };
        if let Some(index) = fields.clone().into_iter().position(|field| own(&field)) {
            return Err(Misuse::FramingField(index));
        }
        let mut tx = SendBuf::new();
        write_fields(fields, &mut tx);
        Ok(Self { lines: Bytes::copy_from_slice(tx.chunk()) })
    }

    /// Writes those that `given` does not have.
    pub(super) fn write(
        &self,
        given: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) {
        for line in self.lines.split_inclusive(|&byte| byte == b'\n') {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            let is_given = |(known, _): (_, _)| {
                let known: &str = AsRef::<str>::as_ref(&known);
                known.as_bytes().eq_ignore_ascii_case(name)
            };
            if !given.clone().into_iter().any(is_given) {
                tx.append(line);
            }
        }
    }
}
