//! x
/// x
#[derive(Debug)]
pub struct Url;
