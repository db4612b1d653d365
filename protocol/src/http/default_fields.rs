//! Fields that every response of a server has.

use super::Misuse;
use super::outgoing::{check_fields, write_field};
use crate::SendBuf;
use alloc::boxed::Box;
use alloc::sync::Arc;

/// Fields for every final response of a [`Server`](super::Server) that has none of the same name,
/// checked once and cheap to clone: `Date` and `Server` (RFC 9110, 6.6.1 and 10.2.4). A machine has no
/// clock, so whoever has one makes new ones each second.
///
/// ```
/// use tidewire::http::{DefaultFields, Misuse};
///
/// let fields = DefaultFields::new([("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Server", "mine")])?;
/// assert_eq!(DefaultFields::new([("Server", "a\r\nb")]).unwrap_err(), Misuse::BadFieldValue(0));
/// # Ok::<(), Misuse>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DefaultFields(Arc<[Field]>);

#[derive(Debug)]
struct Field {
    name: Box<str>,
    value: Box<[u8]>,
}

impl DefaultFields {
    /// Checks these fields, and keeps a copy.
    ///
    /// # Errors
    /// [`Misuse::BadFieldName`], [`Misuse::BadFieldValue`], or [`Misuse::FramingField`] for `Connection`
    /// and the fields that frame a message.
    pub fn new(
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
    ) -> Result<Self, Misuse> {
        check_fields(fields.clone())?;
        let mut kept = alloc::vec::Vec::new();
        for (index, (name, value)) in fields.into_iter().enumerate() {
            if name.as_ref().eq_ignore_ascii_case("connection") {
                return Err(Misuse::FramingField(index));
            }
            kept.push(Field { name: name.as_ref().into(), value: value.as_ref().into() });
        }
        Ok(Self(kept.into()))
    }

    /// Writes those whose names `fields` has not.
    pub(super) fn write(
        &self,
        fields: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)> + Clone,
        tx: &mut SendBuf,
    ) {
        for Field { name, value } in &*self.0 {
            if !fields.clone().into_iter().any(|(own, _)| own.as_ref().eq_ignore_ascii_case(name)) {
                write_field(name, value, tx);
            }
        }
    }
}
