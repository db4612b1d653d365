//! The manual: what the reference documentation has no place for.
//!
//! * [`tour`]: one program from the request to the first message, step by step.
//! * [`strictness`]: what is refused, and which mistakes of the field that answers.
//! * [`coming_from`]: the words of other libraries and languages, and where their things are here.

pub mod coming_from;
pub mod strictness;
pub mod tour;
