//! The only place that draws at random: secrets, keys, nonces. The pure rooms get seeds as arguments.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Random bytes of the system.
///
/// # Errors
/// The kernel has none to give.
pub fn bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| std::io::Error::other("the system has no random bytes"))?;
    Ok(bytes)
}
