//! Which headers of the upstream request are the client's. The proxy module writes those of
//! `proxy_set_header` and then the client's, and nothing on the wire tells one from the other: an
//! operator may even set a header to what the client sent. So, when it matters, the request is made a
//! second time, with other values in the place of the client's.

use std::cell::OnceCell;
use std::ptr;

use ngx::ffi::{NGX_OK, ngx_int_t, ngx_list_t, ngx_str_t, ngx_table_elt_t};

use super::context::Handler;
use super::ffi::{self, Request};
use super::passed::strip_prefix;

/// A value that no other header has.
const MARK: &str = "\"set by the client\"";

/// Tells the client's headers from the operator's.
pub struct Foreign<'a> {
    request: Request,
    create_request: Handler,
    /// The head that nginx makes when the client's values are marked; `None` when it failed.
    marked: OnceCell<Option<&'a [u8]>>,
}

impl<'a> Foreign<'a> {
    /// For a request whose head `create_request` makes.
    pub fn new(request: Request, create_request: Handler) -> Self {
        Foreign { request, create_request, marked: OnceCell::new() }
    }

    /// Whether an `x-amz-*` header with this name and this value is the client's.
    pub fn is_foreign(&self, name: &[u8], value: &[u8]) -> bool {
        let same = |header: &ngx_table_elt_t| {
            header.key.as_bytes().eq_ignore_ascii_case(name)
                && header.value.as_bytes().trim_ascii() == value
        };
        if !self.request.headers().any(same) {
            return false;
        }
        // what cannot be found out does not go out
        self.marked.get_or_init(|| self.mark()).is_none_or(|head| has_marked(head, name))
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

/// Whether `head` has a header of this name with the mark for a value.
fn has_marked(head: &[u8], name: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len()).is_some_and(|(start, rest)| {
            let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii);
            start.eq_ignore_ascii_case(name) && value == Some(MARK.as_bytes())
        })
    })
}
