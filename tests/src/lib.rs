//! What the tests of this folder and the fuzz targets share.

#[cfg(feature = "net")]
pub mod contract;
#[cfg(feature = "net")]
pub mod echo;
#[cfg(feature = "net")]
pub mod faults;
#[cfg(feature = "net")]
pub mod frames;
pub mod fuzz;
#[cfg(feature = "net")]
pub mod memory;
#[cfg(feature = "net")]
pub mod names;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod peers;
#[cfg(feature = "net")]
pub mod pki;
#[cfg(feature = "net")]
pub mod scripted;
