//! permessage-deflate (RFC 7692): what is negotiated, and the two directions of a connection.
//!
//! Without the feature `deflate` the types are there and have no values, so that the connection has no
//! second shape.

#[cfg(not(feature = "deflate"))]
mod off;
#[cfg(not(feature = "deflate"))]
pub(super) use off::{Agreed, DeflateConfig, Deflater, Inflater, NAME};

#[cfg(feature = "deflate")]
mod deflater;
#[cfg(feature = "deflate")]
mod inflater;
#[cfg(feature = "deflate")]
mod params;
#[cfg(all(test, feature = "deflate"))]
mod reference;
#[cfg(feature = "deflate")]
pub use params::{DeflateConfig, DeflateParams};
#[cfg(feature = "deflate")]
pub(super) use {
    deflater::Deflater,
    inflater::Inflater,
    params::{Agreed, NAME},
};

/// What a peer sent as compressed data is none (RFC 1951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// So much of the output is what came before the fault.
    pub(super) written: usize,
}
