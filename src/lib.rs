//! nginx module that signs what nginx is about to send upstream with AWS Signature Version 4.
//!
//! Two halves with one rule between them: [`sigv4`] is the signing core and knows nothing of
//! nginx, no clock and no I/O; [`mod@nginx`] is the module, and depends on the core.

pub mod nginx;
#[cfg(any(test, fuzzing))]
#[allow(missing_docs)]
pub mod properties;
pub mod sigv4;
