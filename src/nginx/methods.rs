//! The methods that may be signed.

use std::borrow::Cow;

/// Those that S3 knows.
const KNOWN: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"];

/// A choice of methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    chosen: [bool; KNOWN.len()],
    /// The value of `Allow`.
    allow: Cow<'static, str>,
}

impl Methods {
    /// What is signed unless an operator asks for more: what changes nothing.
    pub const READING: Methods = Methods {
        chosen: [true, true, false, false, false, false],
        allow: Cow::Borrowed("GET, HEAD"),
    };

    /// These methods; an unknown one is the error.
    pub fn new<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<Self, &'a [u8]> {
        let mut chosen = [false; KNOWN.len()];
        for name in names {
            let known = KNOWN.iter().position(|known| known.as_bytes() == name);
            chosen[known.ok_or(name)?] = true;
        }
        let names: Vec<_> =
            KNOWN.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| *name).collect();
        Ok(Methods { chosen, allow: names.join(", ").into() })
    }

    /// Whether a method is one of them.
    pub fn contains(&self, method: &[u8]) -> bool {
        KNOWN.iter().zip(self.chosen).any(|(known, chosen)| chosen && known.as_bytes() == method)
    }

    /// The value of `Allow`.
    pub fn allow(&self) -> &str {
        &self.allow
    }
}

/// Whether a method asks for something and has no use for a body.
pub fn is_reading(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD")
}
