//! Which requests of clients may be signed: by their methods and bodies.

use ngx::ffi::{
    NGX_HTTP_BAD_REQUEST, NGX_HTTP_LENGTH_REQUIRED, NGX_HTTP_NOT_ALLOWED, NGX_HTTP_NOT_IMPLEMENTED,
    NGX_LOG_ERR, NGX_LOG_INFO, NGX_OK, ngx_http_discard_request_body, ngx_int_t, ngx_list_push,
    ngx_str_t, ngx_table_elt_t,
};

use super::ffi::Request;
use super::location::LocConf;
use super::methods::{Methods, is_reading};
use super::streaming::Framed;

const OK: ngx_int_t = NGX_OK as ngx_int_t;

/// What becomes of a client's request before anything is done for it.
pub enum Admission {
    /// It may be signed.
    Granted,
    /// Whether there is a body is not known before it was read.
    AfterBody,
    /// It is answered with this status.
    Refused(ngx_int_t),
}

/// Judges a request as its content handler begins.
pub fn admit(request: Request, conf: &LocConf) -> Admission {
    let (method, methods) = (request.method_name(), conf.methods());
    if !methods.contains(method) {
        ngx::ngx_log_error!(
            NGX_LOG_INFO,
            request.log(),
            "aws_sign: client sent method {}, only {} are signed",
            String::from_utf8_lossy(method),
            methods.allow().replace(", ", " and ")
        );
        allow(request, methods);
        return Admission::Refused(NGX_HTTP_NOT_ALLOWED as ngx_int_t);
    }
    let framed = Framed::of(request);
    if let Some(complaint) = unusable(framed) {
        ngx::ngx_log_error!(NGX_LOG_ERR, request.log(), "aws_sign: {complaint}");
        return Admission::Refused(NGX_HTTP_NOT_IMPLEMENTED as ngx_int_t);
    }
    if request.is_main()
        && conf.streams()
        && (!conf.signs_payload() || framed == Framed::WithTrailer)
        && request.is_chunked()
        && !request.has_asked_for_body()
        && !is_reading(method)
    {
        ngx::ngx_log_error!(
            NGX_LOG_INFO,
            request.log(),
            "aws_sign: client sent a body without its length, S3 does not take it as it comes"
        );
        return Admission::Refused(NGX_HTTP_LENGTH_REQUIRED as ngx_int_t);
    }
    // a subrequest has its parent's headers
    if !request.is_main() || !request.may_have_body() || !is_reading(method) {
        return Admission::Granted;
    }
    let unread = !request.has_asked_for_body();
    if is_made_get(request) {
        let status = if unread {
            // SAFETY: a live request; nginx does so for requests that have no use for a body
            unsafe { ngx_http_discard_request_body(request.as_ptr()) }
        } else {
            OK
        };
        return if status == OK { Admission::Granted } else { Admission::Refused(status) };
    }
    if request.has_body() {
        ngx::ngx_log_error!(
            NGX_LOG_INFO,
            request.log(),
            "aws_sign: client sent a body with a request to be signed"
        );
        return Admission::Refused(NGX_HTTP_BAD_REQUEST as ngx_int_t);
    }
    if unread { Admission::AfterBody } else { Admission::Granted }
}

/// What is wrong with a body, as it is framed.
fn unusable(framed: Framed) -> Option<&'static str> {
    match framed {
        Framed::No | Framed::WithTrailer => None,
        Framed::Signed => Some(
            "client signed its body in chunks with a key of its own, have it send a body that is not \
             signed in chunks: https does that for most clients, \"chunkedEncodingEnabled(false)\" \
             for the AWS SDK for Java",
        ),
        Framed::Unknown => Some(
            "client sent its body with \"Content-Encoding: aws-chunked\", but neither \
             \"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\" nor \"X-Amz-Trailer\"",
        ),
    }
}

/// Whether nginx itself made a GET of another method, as `error_page` and subrequests do: the body
/// is that of the client's request and has no part in this one.
pub fn is_made_get(request: Request) -> bool {
    let line = request.request_line();
    let asked = line.starts_with(b"GET ") || line.starts_with(b"HEAD ");
    is_reading(request.method_name()) && (!request.is_main() || !asked)
}

/// Adds `Allow` to the answer.
fn allow(request: Request, methods: &Methods) {
    let headers = request.headers_out();
    // SAFETY: the list of a live request; the entry is fresh, and the strings live as long
    // as the configuration
    unsafe {
        if let Some(header) = ngx_list_push(headers).cast::<ngx_table_elt_t>().as_mut() {
            *header = std::mem::zeroed();
            header.hash = 1;
            header.key = ngx::ngx_string!("Allow");
            let value = methods.allow();
            header.value = ngx_str_t { len: value.len(), data: value.as_ptr().cast_mut() };
        }
    }
}
