//! Entropy as data.
//!
//! RFC 6455 wants masking keys (5.3) and handshake nonces (4.1) that nobody can predict. The
//! machines draw them, and the jitter of reconnection, from `ChaCha20` keyed with a [`Seed`] that the
//! caller takes from the operating system. The same seed gives the same bytes, which is what makes
//! a recorded run replay; a program that reuses a seed for two connections gives its keys away.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng};
use core::fmt;

/// 32 bytes of secret randomness, for one machine.
///
/// In production fill it from the operating system (the runtime crates do); in a test any constant
/// makes the run repeatable.
///
/// ```
/// let seed = tidewire::Seed::new([7; 32]);
/// ```
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Wraps 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Shows nothing: the bytes are a secret.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A cryptographically secure generator, one for each machine that needs randomness.
pub(crate) struct Entropy(ChaCha20Rng);

impl Entropy {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self(ChaCha20Rng::from_seed(seed.0))
    }

    /// An independent seed for a machine that this one owns or begets.
    pub(crate) fn fork(&mut self) -> Seed {
        Seed(self.array())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A masking key (RFC 6455, 5.3).
    #[inline]
    pub(crate) fn mask_key(&mut self) -> [u8; 4] {
        self.0.next_u32().to_le_bytes()
    }

    /// A number from `0.0` up to, but not including, `1.0`.
    pub(crate) fn fraction(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_bytes_and_other_seed_other_bytes() {
        let draw = |byte| Entropy::new(&Seed::new([byte; 32])).array::<16>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_fork_is_independent_of_its_parent() {
        let mut parent = Entropy::new(&Seed::new([1; 32]));
        let mut child = Entropy::new(&parent.fork());
        assert_ne!(parent.array::<16>(), child.array::<16>());
    }

    #[test]
    fn fractions_lie_in_the_unit_interval() {
        let mut entropy = Entropy::new(&Seed::new([3; 32]));
        assert!((0..1000).map(|_| entropy.fraction()).all(|f| (0.0..1.0).contains(&f)));
    }
}
