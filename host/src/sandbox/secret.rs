//! A random password.
//!
//! Fixed ones would let any user of the machine become superuser of a running sandbox, and a
//! superuser of PostgreSQL can run programs.

use std::fmt;
use std::fs::File;
use std::io::Read;

use super::error::SandboxError;

/// A password of 128 random bits in hexadecimal, which `Debug` does not show.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// Draws a new one from the system.
    pub(super) fn draw() -> Result<Self, SandboxError> {
        let path = "/dev/urandom";
        let mut bytes = [0_u8; 16];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(SandboxError::file("read", path))?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn two_secrets_differ_and_debug_shows_neither() {
        let (one, two) = (Secret::draw().expect("urandom"), Secret::draw().expect("urandom"));
        assert_ne!(one.expose(), two.expose());
        assert!(!format!("{one:?}").contains(one.expose()));
    }
}
