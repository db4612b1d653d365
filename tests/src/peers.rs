//! What the programs that speak with real peers share.

/// Bytes that tell where they belong: those from `start` to `end` of a sequence without end. Its
/// period is prime, so that a piece of any usual size that was dropped or repeated shows.
#[must_use]
pub fn pattern(start: usize, end: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..=250).collect();
    let before = start % period.len();
    let mut bytes = period.repeat((before + end - start).div_ceil(period.len()));
    bytes.truncate(before + end - start);
    bytes.drain(..before);
    bytes
}

/// How long `data` is, and its SHA-1: what a body is known by.
#[derive(Default)]
pub struct Summary {
    length: usize,
    digest: sha1::Sha1,
}

impl Summary {
    /// Adds the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.length += piece.len();
        sha1::Digest::update(&mut self.digest, piece);
    }

    /// How many bytes there have been.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.length)?;
        let digest = sha1::Digest::finalize(self.digest.clone());
        digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
