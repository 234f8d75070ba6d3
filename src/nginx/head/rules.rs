//! What is known of a request before its head is read.

use crate::nginx::credential::Credential;
use crate::nginx::methods::Methods;
use crate::nginx::passed::{Pattern, is_own, lists, strip_prefix};
use crate::sigv4::{AmzDate, PayloadHash};

/// What to sign with, and what the operator says of the request.
pub struct Rules<'a> {
    /// Whose signature is made.
    pub credential: &'a Credential,
    /// The moment of the signature.
    pub date: AmzDate,
    /// The host to send and sign in place of the one that nginx wrote.
    pub host: Option<&'a [u8]>,
    /// Whether a client's body that nginx announces is left out of the request.
    pub drop_body: bool,
    /// The methods that may be signed.
    pub methods: &'a Methods,
    /// The client's `x-amz-*` headers that may pass.
    pub passed: &'a [Pattern],
    /// What follows the head in buffers of its own.
    pub body: Body,
}

/// A body that nginx sends behind the head.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// All of it is there.
    Whole {
        /// Its length in bytes.
        len: u64,
        /// Its hash, or what stands for it.
        hash: PayloadHash,
    },
    /// It goes out while it arrives: this stands for its hash.
    Streamed(PayloadHash),
}

impl Body {
    /// No body.
    pub const NONE: Body = Body::Whole { len: 0, hash: PayloadHash::EMPTY };
}

impl Rules<'_> {
    /// Whether a query may have a parameter: S3 takes some headers as parameters, too.
    pub(super) fn may_ask(&self, name: &[u8]) -> bool {
        strip_prefix(name).is_none() || !is_own(name) && lists(self.passed, name)
    }
}
