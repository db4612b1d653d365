//! Seeds from the operating system.

use crate::error::Error;
use tidewire::Seed;

/// A seed for one machine.
pub(crate) fn seed() -> Result<Seed, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Entropy(error.into()))?;
    Ok(Seed::new(bytes))
}
