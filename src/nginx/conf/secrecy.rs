//! Which values of directives must not show.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ngx::ffi::NGX_LOG_WARN;

use super::directive;
use crate::nginx::ffi::Conf;

/// Whether a directive's value must not show.
pub fn is_secret(which: usize) -> bool {
    matches!(which, directive::SIGNING_KEY | directive::SESSION_TOKEN | directive::SECRET_KEY)
}

/// Whether a value may have a signing key, a secret access key or a token in it, that has got into the
/// wrong directive: those are not shown.
pub fn may_be_secret(value: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    value.split(|byte| !is_base64(byte)).any(looks_secret)
}

/// Whether this run of base64 is as long as a secret access key, which signing keys and tokens exceed, and as mixed.
fn looks_secret(run: &[u8]) -> bool {
    let has = |test: fn(&u8) -> bool| run.iter().any(test);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    run.len() >= 40 && mixed
}

/// Warns of what looks like a secret access key or a signing key in a directive where it would be sent
/// and logged, of a path where the key itself should be, and of a key in the place of another.
pub fn warn_of_secret(which: usize, value: &[u8], cf: Conf) {
    let is_path = || value.first() == Some(&b'/') && Path::new(OsStr::from_bytes(value)).exists();
    // behind a signing key stands its scope
    let first = if is_secret(which) { 2 } else { 1 };
    let shows = || (first..).map_while(|index| cf.word(index)).any(may_be_secret);
    let warning = match which {
        directive::SECRET_KEY if is_path() => {
            "is the name of a file, which needs \"file:\" in front"
        }
        directive::SECRET_KEY if value.len() == 44 && value.ends_with(b"=") => {
            "looks like a signing key, which \"aws_signing_key\" takes"
        }
        _ if shows() => "looks like a key that must not show",
        _ => return,
    };
    let name = String::from_utf8_lossy(cf.word(0).unwrap_or_default());
    ngx::ngx_conf_log_error!(NGX_LOG_WARN, cf.as_ptr(), "the value of \"{name}\" {warning}");
}
