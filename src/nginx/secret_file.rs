//! A secret in a file of its own.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use ngx::ffi::NGX_LOG_WARN;
use zeroize::Zeroizing;

use super::conf::secrecy::may_be_secret;
use super::ffi::Conf;

/// No secret is longer.
const LIMIT: usize = 4096;

/// Reads the one line of a file, whose path is relative to nginx's configuration; nginx does so as
/// the user that starts it, before workers become another.
pub fn read(path: &[u8], cf: Conf) -> Result<Zeroizing<Vec<u8>>, Cow<'static, str>> {
    let path = cf.full_name(path).ok_or("expected a path behind \"file:\"")?;
    let path = OsStr::from_bytes(&path);
    // the key itself may stand there
    let shown =
        if may_be_secret(path.as_bytes()) { "the file".into() } else { path.to_string_lossy() };
    let failed = |error: std::io::Error| format!("cannot read \"{shown}\": {error}");
    // opening a pipe would wait for its other end
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("cannot read \"{shown}\": it is not a regular file").into());
    }
    let mut file = File::open(path).map_err(failed)?;
    if metadata.mode() & 0o004 != 0 {
        ngx::ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf.as_ptr(),
            "\"{shown}\" holds a secret and is readable by everyone"
        );
    }
    // all of it at once: a buffer that grows leaves copies behind
    let mut text = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut len = 0;
    while len < text.len() {
        match file.read(&mut text[len..]).map_err(failed)? {
            0 => break,
            count => len += count,
        }
    }
    text.truncate(len);
    if text.ends_with(b"\n") {
        let end = if text.ends_with(b"\r\n") { len - 2 } else { len - 1 };
        text.truncate(end);
    }
    if text.is_empty() || len > LIMIT || !text.iter().all(u8::is_ascii_graphic) {
        return Err(format!("expected one line with a secret access key in \"{shown}\"").into());
    }
    Ok(text)
}
