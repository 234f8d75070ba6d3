//! Values of directives with variables in them.

use std::ptr::{self, NonNull};

use ngx::ffi::{
    NGX_OK, ngx_http_compile_complex_value, ngx_http_compile_complex_value_t,
    ngx_http_complex_value, ngx_http_complex_value_t, ngx_int_t, ngx_str_t,
};

#[cfg(nginx_pcre)]
use super::captures::Captures;
use super::{Conf, Request, bytes, pool_plain};

/// A value that is put together when a request comes.
///
/// It lives in the pool of the configuration that it was read from, as the location configurations
/// do that hold it.
#[derive(Clone, Copy)]
pub struct Template(NonNull<ngx_http_complex_value_t>);

impl Template {
    /// Whether a value has variables in it.
    pub fn is_template(value: &[u8]) -> bool {
        value.contains(&b'$')
    }

    /// Compiles a word of the directive that is being set; `None` when nginx has said what is wrong.
    pub fn compile(cf: Conf, word: &[u8]) -> Option<Self> {
        // SAFETY: a complex value is made of integers and pointers, which may be zero
        let value =
            pool_plain(cf.pool(), unsafe { std::mem::zeroed::<ngx_http_complex_value_t>() });
        let value = NonNull::new(value)?;
        let mut text = ngx_str_t { len: word.len(), data: word.as_ptr().cast_mut() };
        // SAFETY: as nginx sets it up itself: zeroed but for these three. The word and the value are
        // in the pool of the configuration, and the text is read during the call only
        let status = unsafe {
            let mut compile: ngx_http_compile_complex_value_t = std::mem::zeroed();
            compile.cf = cf.as_ptr();
            compile.value = &raw mut text;
            compile.complex_value = value.as_ptr();
            ngx_http_compile_complex_value(&raw mut compile)
        };
        (status == NGX_OK as ngx_int_t).then_some(Template(value))
    }

    /// The value for a request; `None` when there is no memory. The request's captures stay as they
    /// are: what nginx evaluates afterwards may use those of the location.
    pub fn evaluate<'a>(&self, request: Request) -> Option<&'a [u8]> {
        let mut value = ngx_str_t { len: 0, data: ptr::null_mut() };
        #[cfg(nginx_pcre)]
        let captures = Captures::save(request)?;
        // SAFETY: the value was compiled for the configuration of the request, which is live
        let status =
            unsafe { ngx_http_complex_value(request.as_ptr(), self.0.as_ptr(), &raw mut value) };
        #[cfg(nginx_pcre)]
        captures.restore(request);
        (status == NGX_OK as ngx_int_t).then(|| bytes(value))
    }
}
