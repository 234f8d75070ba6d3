//! The configuration while nginx reads it.

use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;
use std::slice;

use ngx::ffi::{
    NGX_LOG_EMERG, NGX_OK, ngx_conf_full_name, ngx_conf_t, ngx_int_t, ngx_log_t, ngx_pool_t,
    ngx_str_t, ngx_uint_t,
};
use zeroize::Zeroize;

use super::bytes;

/// Where a directive stands.
#[derive(Clone, Debug)]
pub struct Place {
    file: Rc<str>,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The configuration that is being read, for as long as nginx is inside one of our callbacks.
#[derive(Clone, Copy)]
pub struct Conf(NonNull<ngx_conf_t>);

impl Conf {
    /// The configuration that nginx passed to a callback; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// `cf` must be null or live, and the value must not outlive the callback.
    pub unsafe fn new(cf: *mut ngx_conf_t) -> Option<Self> {
        NonNull::new(cf).map(Conf)
    }

    /// nginx's own structure.
    pub fn as_ptr(self) -> *mut ngx_conf_t {
        self.0.as_ptr()
    }

    fn raw<'a>(self) -> &'a ngx_conf_t {
        // SAFETY: it is live during the callback (see `new`)
        unsafe { self.0.as_ref() }
    }

    /// The log of the configuration.
    pub fn log(self) -> *mut ngx_log_t {
        self.raw().log
    }

    /// The pool of the new cycle.
    pub fn pool(self) -> *mut ngx_pool_t {
        self.raw().pool
    }

    /// The context of the block: which of `NGX_HTTP_*_CONF` it is.
    pub fn block(self) -> ngx_uint_t {
        self.raw().cmd_type
    }

    /// A word of the directive: its name, or an argument.
    pub fn word<'a>(self, index: usize) -> Option<&'a [u8]> {
        // SAFETY: while a directive is being set, `args` has its words
        let words: &[ngx_str_t] = unsafe {
            let args = &*self.raw().args;
            slice::from_raw_parts(args.elts.cast(), args.nelts)
        };
        words.get(index).map(|word| bytes(*word))
    }

    /// The file and line that are being read.
    pub fn place(self) -> Place {
        // SAFETY: while a directive is being set, there is a file
        let file = unsafe { &*self.raw().conf_file };
        Place { file: String::from_utf8_lossy(bytes(file.file.name)).into(), line: file.line }
    }

    /// A path, which may be relative to the configuration; `None` for an empty one.
    pub fn full_name(self, path: &[u8]) -> Option<Vec<u8>> {
        let mut name = ngx_str_t { len: path.len(), data: path.as_ptr().cast_mut() };
        // SAFETY: nginx reads the name and puts another in its place, from the cycle's pool; the
        // path is a word of the configuration, behind which there is a NUL
        let status = unsafe { ngx_conf_full_name(self.raw().cycle, &raw mut name, 1) };
        (status == NGX_OK as ngx_int_t && !path.is_empty()).then(|| bytes(name).to_vec())
    }

    /// Logs an `emerg` line with the file and line that are being read.
    pub fn error(self, message: std::fmt::Arguments<'_>) {
        ngx::ngx_conf_log_error!(NGX_LOG_EMERG, self.as_ptr(), "{message}");
    }

    /// Wipes the directive's argument: from the words, which live as long as the configuration, from
    /// what has been read of the file, and from the copy of the file that `nginx -T` prints, which
    /// an nginx with a debug log always keeps.
    pub fn wipe_argument(self) {
        // SAFETY: the words are memory of the pool that nobody refers to after the directive was
        // set; the caller drops its slice of them (`args`) before
        let (word, file) = unsafe {
            let words = (*self.raw().args).elts.cast::<ngx_str_t>();
            let word = *words.add(1);
            (slice::from_raw_parts_mut(word.data, word.len), &*self.raw().conf_file)
        };
        // SAFETY: null, or a buffer of the file that is being read
        if let Some(buffer) = unsafe { file.buffer.as_mut() }
            && !buffer.start.is_null()
        {
            // SAFETY: nginx's parser is behind `pos`, and never goes back; behind `last` is what
            // was there before the buffer was filled again
            let (read, stale) = unsafe {
                let read = buffer.pos.offset_from(buffer.start) as usize;
                let stale = buffer.end.offset_from(buffer.last) as usize;
                (
                    slice::from_raw_parts_mut(buffer.start, read),
                    slice::from_raw_parts_mut(buffer.last, stale),
                )
            };
            overwrite(read, word, b' ');
            stale.zeroize();
        }
        // SAFETY: null, or a buffer in memory with the file in it
        if let Some(dump) = unsafe { file.dump.as_mut() }
            && !dump.start.is_null()
        {
            // SAFETY: as above
            let dump = unsafe {
                let len = dump.last.offset_from(dump.start) as usize;
                slice::from_raw_parts_mut(dump.start, len)
            };
            overwrite(dump, word, b'*');
        }
        word.zeroize();
    }
}

/// Puts `with` in the place of `secret` wherever it is in `text`.
fn overwrite(text: &mut [u8], secret: &[u8], with: u8) {
    let mut from = 0;
    while !secret.is_empty()
        && let Some(start) = memchr::memmem::find(&text[from..], secret)
    {
        let end = from + start + secret.len();
        let place = &mut text[from + start..end];
        place.zeroize();
        place.fill(with);
        from = end;
    }
}

/// Wipes what a function that has returned left on the stack below its caller.
#[inline(never)]
pub fn wipe_stack() {
    let mut below = [0_u8; 16 * 1024];
    std::hint::black_box(&mut below).zeroize();
}
