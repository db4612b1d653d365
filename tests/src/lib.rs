//! What the tests of this folder and the fuzz targets share.

pub mod fuzz;
#[cfg(feature = "net")]
pub mod net;
