//! The receiving direction.
