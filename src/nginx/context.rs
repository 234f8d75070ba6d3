//! What we keep for a request, from its first use of the module to its end.

use std::ops::Range;
use std::ptr::NonNull;

use ngx::ffi::{ngx_http_request_t, ngx_int_t, ngx_str_t};

use super::ffi::{self, Request};
use super::head::Signed;
use super::location::Destination;
use super::variables::Described;

/// A request that was written to the request's pool, and where its parts stand.
pub struct Written {
    base: NonNull<u8>,
    parts: Signed,
}

impl Written {
    /// Remembers what was written to `memory`.
    pub fn new(memory: &mut [u8], parts: Signed) -> Option<Self> {
        Some(Written { base: NonNull::new(memory.as_mut_ptr())?, parts })
    }

    /// Where its parts stand.
    pub fn parts(&self) -> &Signed {
        &self.parts
    }

    /// The bytes of a part, which live as long as the request.
    pub fn string(&self, part: &Range<usize>) -> ngx_str_t {
        // SAFETY: the parts lie within the memory that they were written to
        ngx_str_t { len: part.len(), data: unsafe { self.base.as_ptr().add(part.start) } }
    }
}

/// One of the functions that nginx calls for a request and that answer with a status.
pub type Handler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// What we keep for a request, in its pool.
#[derive(Default)]
pub struct Context {
    /// The proxy module's create_request.
    pub create_request: Option<Handler>,
    /// Whether the body goes upstream while it arrives, if it was not all there at once.
    pub streams: bool,
    /// Where the request goes, once that is settled.
    pub destination: Option<Destination>,
    /// Whether the destination's variables are being evaluated, which may be ours.
    pub evaluating: bool,
    /// The request that was signed.
    pub signed: Option<Written>,
    /// The request that the variables speak of until then, in the pool, too: few requests have it.
    pub described: Option<NonNull<(Described, Written)>>,
}

impl Context {
    /// The context of `request`, made where there is none; `None` when there is no memory.
    pub fn of<'a>(request: Request) -> Option<&'a mut Context> {
        let mut context = request.context::<Context>(super::module());
        if context.is_null() {
            context = ffi::pool_plain(request.pool(), Context::default());
            request.set_context(super::module(), context);
        }
        // SAFETY: null, or what was made above for this request, which lives in its pool; our
        // callbacks for a request do not run within each other while they hold it
        unsafe { context.as_mut() }
    }
}
