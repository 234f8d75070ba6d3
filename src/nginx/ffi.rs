//! The one place for raw pointers in general: what nginx hands over, as values that are safe to use.

#[cfg(nginx_pcre)]
mod captures;
mod conf;
mod template;

use std::any::TypeId;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::slice;

use ngx::ffi::{
    NGX_LOG_ALERT, ngx_buf_t, ngx_chain_t, ngx_http_request_t, ngx_list_part_t, ngx_list_t,
    ngx_log_t, ngx_module_t, ngx_palloc, ngx_pool_cleanup_add, ngx_pool_t, ngx_str_t,
    ngx_table_elt_t,
};

use zeroize::Zeroize;

pub use conf::{Conf, Place, wipe_stack};
pub use template::Template;

/// Runs the body of a callback; a panic ends here, in an `alert`, and the callback returns
/// `failure`.
pub fn guard<T>(log: *mut ngx_log_t, failure: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        if !log.is_null() {
            ngx::ngx_log_error!(NGX_LOG_ALERT, log, "aws_auth: a callback panicked");
        }
        failure
    })
}

/// A request, for as long as nginx is inside one of our callbacks for it.
#[derive(Clone, Copy)]
pub struct Request(NonNull<ngx_http_request_t>);

impl Request {
    /// The request that nginx passed to a callback; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// `r` must be null or a live request, and the value must not outlive the callback.
    pub unsafe fn new(r: *mut ngx_http_request_t) -> Option<Self> {
        NonNull::new(r).map(Request)
    }

    /// nginx's own structure.
    pub fn as_ptr(self) -> *mut ngx_http_request_t {
        self.0.as_ptr()
    }

    fn raw<'a>(self) -> &'a ngx_http_request_t {
        // SAFETY: the request is live during the callback (see `new`), and nothing here holds the
        // reference over a call that changes the request
        unsafe { self.0.as_ref() }
    }

    /// The log of the client's connection.
    pub fn log(self) -> *mut ngx_log_t {
        // SAFETY: a live request has a connection
        unsafe { (*self.raw().connection).log }
    }

    /// The request's pool.
    pub fn pool(self) -> *mut ngx_pool_t {
        self.raw().pool
    }

    /// The pool of the main request, which may be this one.
    pub fn main_pool(self) -> *mut ngx_pool_t {
        // SAFETY: a live request has a main request
        unsafe { (*self.raw().main).pool }
    }

    /// The normalised, decoded URI.
    pub fn uri<'a>(self) -> &'a [u8] {
        bytes(self.raw().uri)
    }

    /// The target as the client sent it.
    pub fn unparsed_uri<'a>(self) -> &'a [u8] {
        bytes(self.raw().unparsed_uri)
    }

    /// Whether [`unparsed_uri`](Self::unparsed_uri) still is what is asked for: no rewrite, no
    /// internal redirect.
    pub fn has_valid_unparsed_uri(self) -> bool {
        self.raw().valid_unparsed_uri() != 0
    }

    /// The query.
    pub fn args<'a>(self) -> &'a [u8] {
        bytes(self.raw().args)
    }

    /// The method by which the request is handled now.
    pub fn method_name<'a>(self) -> &'a [u8] {
        bytes(self.raw().method_name)
    }

    /// The method that the upstream request gets in place of the request's own, as when a cache
    /// makes a GET of a HEAD.
    pub fn upstream_method<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: `upstream` is null or that of this live request
        let method = unsafe { self.raw().upstream.as_ref()?.method };
        Some(bytes(method)).filter(|method| !method.is_empty())
    }

    /// The request line of the client, which no redirect changes.
    pub fn request_line<'a>(self) -> &'a [u8] {
        bytes(self.raw().request_line)
    }

    /// Whether this is no subrequest.
    pub fn is_main(self) -> bool {
        ptr::eq(self.raw().main, self.as_ptr())
    }

    /// Whether the client sent or announced a body that is not empty.
    pub fn has_body(self) -> bool {
        self.raw().headers_in.content_length_n > 0
    }

    /// Whether the client announced a body, of a length that may not be known.
    pub fn may_have_body(self) -> bool {
        self.has_body() || self.is_chunked()
    }

    /// Whether the client did not say how long its body is.
    pub fn is_chunked(self) -> bool {
        self.raw().headers_in.chunked() != 0
    }

    /// Whether the body has been asked for, by this module or another.
    pub fn has_asked_for_body(self) -> bool {
        !self.raw().request_body.is_null()
    }

    /// Whether a part of the body that was asked for has not arrived. HTTP/2 waits for the end of an
    /// empty body, too.
    pub fn awaits_body(self) -> bool {
        // SAFETY: null, or the body of this live request
        let rest = unsafe { self.raw().request_body.as_ref() }.map_or(0, |body| body.rest);
        rest > 0 && self.may_have_body()
    }

    /// The length of the body; `None` when the client did not say it and the end was not seen.
    pub fn body_len(self) -> Option<u64> {
        let len = self.raw().headers_in.content_length_n;
        let none = if self.is_chunked() { None } else { Some(0) };
        u64::try_from(len).ok().or(none)
    }

    /// Whether the body is that of the main request.
    pub fn has_main_body(self) -> bool {
        // SAFETY: a live request has a main request
        unsafe { ptr::eq((*self.raw().main).request_body, self.raw().request_body) }
    }

    /// Says whether the request waits for an operation.
    pub fn set_aio(self, waits: bool) {
        // SAFETY: the request is live, and no reference to it is held here
        unsafe { (*self.as_ptr()).set_aio(waits.into()) }
    }

    /// The headers of the answer.
    pub fn headers_out(self) -> *mut ngx_list_t {
        // SAFETY: as above; this only computes an address
        unsafe { &raw mut (*self.as_ptr()).headers_out.headers }
    }

    /// The client's headers.
    pub fn headers<'a>(self) -> impl Iterator<Item = &'a ngx_table_elt_t> {
        let mut part: *const ngx_list_part_t = &raw const self.raw().headers_in.headers.part;
        let parts = std::iter::from_fn(move || {
            // SAFETY: the parts of a list are linked and end with a null pointer; they live as long
            // as the request
            let list = unsafe { part.as_ref() }?;
            part = list.next;
            Some(list)
        });
        parts.filter(|list| list.nelts > 0).flat_map(|list| {
            // SAFETY: `elts` has `nelts` initialised entries
            unsafe { slice::from_raw_parts(list.elts.cast::<ngx_table_elt_t>(), list.nelts) }
        })
    }

    /// What `module` keeps for this request; null at first and after an internal redirect.
    pub fn context<T>(self, module: &ngx_module_t) -> *mut T {
        // SAFETY: `ctx` has a slot for every HTTP module of the configuration
        unsafe { (*self.raw().ctx.add(module.ctx_index)).cast() }
    }

    /// Keeps `context` for this request.
    pub fn set_context<T>(self, module: &ngx_module_t, context: *mut T) {
        // SAFETY: as above
        unsafe { *self.raw().ctx.add(module.ctx_index) = context.cast() }
    }

    /// The location configuration of `module` that is in effect.
    pub fn location_conf<T>(self, module: &ngx_module_t) -> *const T {
        // SAFETY: `loc_conf` has a slot for every HTTP module of the configuration
        unsafe { (*self.raw().loc_conf.add(module.ctx_index)).cast::<T>().cast_const() }
    }
}

/// The bytes of a string of nginx's, whose owner the caller knows to be alive.
pub fn bytes<'a>(string: ngx_str_t) -> &'a [u8] {
    if string.len == 0 {
        return &[];
    }
    // SAFETY: a string of nginx's that is not empty points to `len` initialised bytes
    unsafe { slice::from_raw_parts(string.data, string.len) }
}

/// The bytes of a buffer that is in memory; none of another.
pub fn buf_bytes<'a>(buf: &ngx_buf_t) -> &'a [u8] {
    let len = (buf.last as usize).saturating_sub(buf.pos as usize);
    if len == 0 || buf.pos.is_null() {
        return &[];
    }
    // SAFETY: a buffer in memory has its bytes between `pos` and `last`
    unsafe { slice::from_raw_parts(buf.pos, len) }
}

/// The buffers of a chain.
pub fn buffers<'a>(mut chain: *const ngx_chain_t) -> impl Iterator<Item = &'a ngx_buf_t> {
    std::iter::from_fn(move || {
        // SAFETY: the links of a chain are linked by `next`, end with a null pointer, and each has
        // a buffer
        unsafe {
            let link = chain.as_ref()?;
            chain = link.next;
            Some(&*link.buf)
        }
    })
}

/// Zeroed memory that lives as long as `pool`; `None` when there is none left.
pub fn pool_bytes<'a>(pool: *mut ngx_pool_t, len: usize) -> Option<&'a mut [u8]> {
    // SAFETY: `pool` is one that nginx gave us; the memory is fresh, so nobody else refers to it,
    // and it is initialised before it becomes a slice
    unsafe {
        let memory = NonNull::new(ngx_palloc(pool, len).cast::<u8>())?;
        ptr::write_bytes(memory.as_ptr(), 0, len);
        Some(slice::from_raw_parts_mut(memory.as_ptr(), len))
    }
}

/// Room for headers that lives as long as `pool`; `None` when there is no memory.
pub fn pool_headers<'a>(pool: *mut ngx_pool_t, count: usize) -> Option<&'a mut [ngx_table_elt_t]> {
    let bytes = pool_bytes(pool, count.checked_mul(size_of::<ngx_table_elt_t>())?)?;
    // SAFETY: the memory is fresh, large enough and aligned for pointers, as palloc aligns it; a
    // header is made of integers and pointers, which may be zero
    Some(unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), count) })
}

/// The texts one behind the other, as long as `pool` lives; `None` when there is no memory.
pub fn pool_concat<'a>(pool: *mut ngx_pool_t, texts: &[&str]) -> Option<&'a [u8]> {
    let copy = pool_bytes(pool, texts.iter().map(|text| text.len()).sum())?;
    let mut at = 0;
    for text in texts {
        copy[at..at + text.len()].copy_from_slice(text.as_bytes());
        at += text.len();
    }
    Some(copy)
}

/// A copy of `text` that lives as long as `pool`; `None` when there is no memory.
pub fn pool_string(pool: *mut ngx_pool_t, text: &str) -> Option<ngx_str_t> {
    pool_concat(pool, &[text]).map(string)
}

/// Bytes as nginx has them, which only reads what is not its own.
pub fn string(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t { len: bytes.len(), data: bytes.as_ptr().cast_mut() }
}

/// Has `pool` wipe `memory` of its own before it is freed; false when there is no memory for that.
pub fn wipe_with(pool: *mut ngx_pool_t, memory: &mut [u8]) -> bool {
    struct Wipe(*mut u8, usize);
    impl Drop for Wipe {
        fn drop(&mut self) {
            // SAFETY: the memory is the pool's, which runs its cleanups before it frees anything
            unsafe { slice::from_raw_parts_mut(self.0, self.1) }.zeroize();
        }
    }
    !pool_value(pool, Wipe(memory.as_mut_ptr(), memory.len())).is_null()
}

/// Moves `value`, which needs no drop, into `pool`; null when there is no memory.
pub fn pool_plain<T>(pool: *mut ngx_pool_t, value: T) -> *mut T {
    const { assert!(!std::mem::needs_drop::<T>() && align_of::<T>() <= align_of::<usize>()) };
    // SAFETY: `pool` is one that nginx gave us; the memory is fresh, large enough, and aligned for
    // a pointer
    unsafe {
        let data = ngx_palloc(pool, size_of::<T>()).cast::<T>();
        if !data.is_null() {
            data.write(value);
        }
        data
    }
}

/// A value in a pool, which says what it is: a linker may make one of two functions that do the same.
#[repr(C)]
struct Tagged<T> {
    id: TypeId,
    value: T,
}

unsafe extern "C" fn drop_value<T>(data: *mut c_void) {
    // SAFETY: `data` is what `pool_value` wrote, and a pool runs a cleanup once
    guard(ptr::null_mut(), (), || unsafe { ptr::drop_in_place(data.cast::<Tagged<T>>()) });
}

/// The value of this type that [`pool_value`] has put into `pool`, known by its cleanup; null if
/// there is none.
pub fn find_value<T: 'static>(pool: *mut ngx_pool_t) -> *mut T {
    let handler: unsafe extern "C" fn(*mut c_void) = drop_value::<T>;
    // SAFETY: `pool` is one that nginx gave us; its cleanups are linked up to a null pointer. One
    // with this handler has the data of a `pool_value`, which begins with its type
    unsafe {
        let mut cleanup = (*pool).cleanup;
        while let Some(entry) = cleanup.as_ref() {
            if entry.handler.is_some_and(|other| ptr::fn_addr_eq(other, handler))
                && *entry.data.cast::<TypeId>() == TypeId::of::<T>()
            {
                return &raw mut (*entry.data.cast::<Tagged<T>>()).value;
            }
            cleanup = entry.next;
        }
    }
    ptr::null_mut()
}

/// Moves `value` into `pool`, which drops it when it is destroyed; null when there is no memory.
pub fn pool_value<T: 'static>(pool: *mut ngx_pool_t, value: T) -> *mut T {
    const { assert!(align_of::<Tagged<T>>() <= align_of::<usize>()) };
    // SAFETY: `pool` is one that nginx gave us; `data` of a cleanup has the size that was asked
    // for and is aligned for a pointer
    unsafe {
        let Some(cleanup) = ngx_pool_cleanup_add(pool, size_of::<Tagged<T>>()).as_mut() else {
            return ptr::null_mut();
        };
        let data = cleanup.data.cast::<Tagged<T>>();
        data.write(Tagged { id: TypeId::of::<T>(), value });
        cleanup.handler = Some(drop_value::<T>);
        &raw mut (*data).value
    }
}
