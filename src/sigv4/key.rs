//! Signing keys: derived, decoded, kept as a prepared HMAC, and never shown.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::{Hex, Scope, Sink, hex};

/// A signing key, good for one scope.
///
/// Kept as the HMAC states that follow from it, so that signing starts behind the two hash blocks
/// of the key; they are wiped when the key is dropped.
pub struct SigningKey {
    mac: Hmac<Sha256>,
}

/// Why a text is no signing key. The text itself is never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// Not base64.
    Base64,
    /// Base64 of something that is not 32 bytes long.
    Length,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Base64 => "it is not base64",
            KeyError::Length => "it is not 32 bytes long",
        })
    }
}

impl std::error::Error for KeyError {}

/// Base64 as `generate_signing_key` writes it; the padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl SigningKey {
    /// The key with these 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        SigningKey { mac: prepared(bytes) }
    }

    /// Reads the base64 form of the 32 bytes.
    pub fn from_base64(text: &[u8]) -> Result<Self, KeyError> {
        // room for any estimate of a text of this length, so that nothing secret is left behind
        // in a buffer that was outgrown
        let mut decoded = Zeroizing::new(vec![0; text.len() + 3]);
        let len = BASE64.decode_slice(text, &mut decoded).map_err(|_| KeyError::Base64)?;
        <&[u8; 32]>::try_from(&decoded[..len]).map(SigningKey::new).map_err(|_| KeyError::Length)
    }

    /// Derives the key of `scope` from a secret access key.
    ///
    /// Source: [Create a signed AWS API request, step 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#calculate-signature).
    pub fn derive(secret: &str, scope: &Scope) -> Self {
        let mut key = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        key.extend_from_slice(b"AWS4");
        key.extend_from_slice(secret.as_bytes());
        let mut bytes = Zeroizing::new(hmac_sha256(&key, scope.day().as_bytes()));
        for part in [scope.region(), scope.service(), "aws4_request"] {
            bytes = Zeroizing::new(hmac_sha256(&*bytes, part.as_bytes()));
        }
        SigningKey::new(&bytes)
    }

    /// The HMAC over what `write` puts into it.
    pub(super) fn sign(&self, write: impl FnOnce(&mut Hmac<Sha256>)) -> Signature {
        let mut mac = self.mac.clone();
        write(&mut mac);
        Signature(hex(&mac.finalize().into_bytes().into()))
    }
}

fn prepared(key: &[u8]) -> Hmac<Sha256> {
    // an HMAC takes a key of any length: the error that the interface knows of cannot be
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!())
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = prepared(key);
    mac.put(message);
    let mut output = mac.finalize().into_bytes();
    let bytes = output.into();
    output.as_mut_slice().zeroize();
    bytes
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A signature, in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(Hex);

impl Signature {
    /// The 64 hexadecimal digits.
    pub fn as_bytes(&self) -> &Hex {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn mark(key: &SigningKey) -> Signature {
        key.sign(|mac| mac.put(b"probe"))
    }

    #[test]
    fn derived_keys_are_the_published_ones() {
        for (scope, base64) in [
            ("20160902/us-east-1/s3/aws4_request", "L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4="),
            (
                "20150830/us-east-1/service/aws4_request",
                "k4EntTNoEN22pdavRF/KyeNx+e1BjtOGsCKu2CkBvnU=",
            ),
        ] {
            let derived = SigningKey::derive(SECRET, &Scope::parse(scope.as_bytes()).unwrap());
            let decoded = SigningKey::from_base64(base64.as_bytes()).unwrap();
            assert_eq!(mark(&derived), mark(&decoded));
            let unpadded =
                SigningKey::from_base64(base64.trim_end_matches('=').as_bytes()).unwrap();
            assert_eq!(mark(&unpadded), mark(&decoded));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (text, error) in [
            ("", KeyError::Length),
            ("L4vR", KeyError::Length),
            ("L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4=L4vR", KeyError::Base64),
            ("L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4AAA==", KeyError::Length),
            ("L4vRLWAO92X5L3Sqk5QydUSdB0nC9-1wfqLMOKLbRp4=", KeyError::Base64),
            ("k", KeyError::Base64),
            ("your_signing_key", KeyError::Base64),
        ] {
            assert_eq!(SigningKey::from_base64(text.as_bytes()).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn a_key_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", SigningKey::new(&[7; 32])), "SigningKey(..)");
    }
}
