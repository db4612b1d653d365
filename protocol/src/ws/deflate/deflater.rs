//! The sending direction.
