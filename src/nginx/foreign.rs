//! Which headers of the upstream request are the client's. The proxy module writes those of
//! `proxy_set_header` and then the client's, and nothing on the wire tells one from the other: an
//! operator may even set a header to what the client sent. So, when it matters, the request is made a
//! second time, with other values in the place of the client's.

use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;
use std::ptr;

use ngx::ffi::{NGX_LOG_INFO, NGX_OK, ngx_int_t, ngx_list_t, ngx_str_t};
use smallvec::SmallVec;

use super::context::Handler;
use super::ffi::{self, Request};
use super::passed::strip_prefix;

/// A value that no other header has: one with such a character in it is refused.
const MARK: &str = "\x7fset by the client";

/// The names of the client's `x-amz-*` headers that are in a head, in the order of [`compare`].
type Names<'a> = SmallVec<[&'a [u8]; 16]>;

/// Tells the client's headers from the operator's.
pub struct Foreign<'a> {
    request: Request,
    create_request: Handler,
    /// Known when it matters; `None` when it could not be found out.
    names: OnceCell<Option<Names<'a>>>,
    /// How many of the client's there were.
    count: Cell<usize>,
}

impl<'a> Foreign<'a> {
    /// For a request whose head `create_request` makes.
    pub fn new(request: Request, create_request: Handler) -> Self {
        Foreign { request, create_request, names: OnceCell::new(), count: Cell::new(0) }
    }

    /// Whether an `x-amz-*` header with this name is the client's: nginx lets no client's header pass
    /// beside one of the same name that the operator has set.
    pub fn is_foreign(&self, name: &[u8]) -> bool {
        let known = |names: &Names<'_>| names.binary_search_by(|own| compare(own, name)).is_ok();
        // what cannot be found out does not go out
        let foreign = self.names.get_or_init(|| self.find()).as_ref().is_none_or(known);
        if foreign {
            self.log(name);
        }
        foreign
    }

    /// Says that a header is dropped: the request will succeed, and may not do what its client wants.
    fn log(&self, name: &[u8]) {
        const LOGGED: usize = 8;
        let count = self.count.replace(self.count.get() + 1);
        if count < LOGGED {
            ngx::ngx_log_error!(
                NGX_LOG_INFO,
                self.request.log(),
                "aws_sign: client sent header \"{}\", dropped as \"aws_pass_header\" does not list it",
                name.escape_ascii()
            );
        }
    }

    fn find(&self) -> Option<Names<'a>> {
        let mut names = Names::new();
        if self.request.headers().any(|header| strip_prefix(header.key.as_bytes()).is_some()) {
            let lines = self.mark()?.split(|byte| *byte == b'\n');
            for line in lines.take_while(|line| !line.trim_ascii().is_empty()) {
                names.try_reserve(1).ok()?;
                names.extend(marked_name(line));
            }
        }
        names.sort_unstable_by(|a, b| compare(a, b));
        Some(names)
    }

    /// Makes the head with the client's values marked.
    fn mark(&self) -> Option<&'a [u8]> {
        let r = self.request.as_ptr();
        let count = self.request.headers().count();
        let copy = ffi::pool_headers(self.request.pool(), count)?;
        let mark = ngx_str_t { len: MARK.len(), data: MARK.as_ptr().cast_mut() };
        for (copy, header) in copy.iter_mut().zip(self.request.headers()) {
            *copy = *header;
            if strip_prefix(header.key.as_bytes()).is_some() {
                copy.value = mark;
            }
        }
        // SAFETY: the request and its upstream are live, and what the call changes of them is put
        // back: nothing else runs in between, and create_request only reads the list
        unsafe {
            let u = (*r).upstream;
            let list = &raw mut (*r).headers_in.headers;
            let (saved_list, bufs, uri) = (ptr::read(list), (*u).request_bufs, (*u).uri);
            let mut marked: ngx_list_t = saved_list;
            marked.part.elts = copy.as_mut_ptr().cast();
            marked.part.nelts = count;
            marked.part.next = ptr::null_mut();
            ptr::write(list, marked);
            (*u).request_bufs = ptr::null_mut();
            let status = (self.create_request)(r);
            let chain = (*u).request_bufs;
            ptr::write(list, saved_list);
            ((*u).request_bufs, (*u).uri) = (bufs, uri);
            if status != NGX_OK as ngx_int_t || chain.is_null() {
                return None;
            }
            Some(ffi::buf_bytes(&*(*chain).buf))
        }
    }
}

/// The name of a header line that has the mark for a value.
fn marked_name(line: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', line)?;
    (line[colon + 1..].trim_ascii() == MARK.as_bytes()).then_some(&line[..colon])
}

/// The order of names in lower case.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}
