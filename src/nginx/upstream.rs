//! The hook: between the moment when the proxy module has made a request and the moment when nginx
//! sends it.

use std::ops::Range;
use std::ptr;
use std::rc::Rc;

use ngx::ffi::{
    NGX_DONE, NGX_ERROR, NGX_HTTP_BAD_REQUEST, NGX_HTTP_INTERNAL_SERVER_ERROR,
    NGX_HTTP_SERVICE_UNAVAILABLE, NGX_HTTP_SPECIAL_RESPONSE, NGX_LOG_ERR, NGX_OK, ngx_buf_t,
    ngx_http_block_reading, ngx_http_finalize_request, ngx_http_read_client_request_body,
    ngx_http_request_t, ngx_http_upstream_init, ngx_http_upstream_t, ngx_int_t, ngx_str_t,
};

use super::admission::{Admission, admit, is_made_get};
use super::context::{Context, Handler, Written};
use super::credential::Credential;
use super::ffi::{self, Request};
use super::foreign::Foreign;
use super::head::{Body, Plan, Refusal, Rules};
use super::injection::Injection;
use super::location::LocConf;
use super::passed::lists;
use super::streaming::{self, Framed};
use super::target::{Origin, Target};
use super::{body, clock, debug};
use crate::sigv4::Day;

const FAILED: ngx_int_t = NGX_ERROR as ngx_int_t;
const DONE: ngx_int_t = NGX_DONE as ngx_int_t;
const OK: ngx_int_t = NGX_OK as ngx_int_t;
const UNAVAILABLE: ngx_int_t = NGX_HTTP_SERVICE_UNAVAILABLE as ngx_int_t;

/// The content handler of a location that signs.
pub(super) unsafe extern "C" fn handle(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request
    let Some(request) = (unsafe { Request::new(r) }) else { return FAILED };
    let failure = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    ffi::guard(request.log(), failure, || content(request))
}

/// The content handler of a location that signs, but has no `proxy_pass`.
pub(super) unsafe extern "C" fn refuse_location(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request
    let Some(request) = (unsafe { Request::new(r) }) else { return FAILED };
    let failure = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    ffi::guard(request.log(), failure, || {
        ngx::ngx_log_error!(
            NGX_LOG_ERR,
            request.log(),
            "aws_sign: only what \"proxy_pass\" sends can be signed, this location has another source"
        );
        failure
    })
}

fn content(request: Request) -> ngx_int_t {
    let recorded = LocConf::of(request).and_then(|conf| Some((conf, conf.handler()?)));
    let Some((conf, recorded)) = recorded else { return FAILED };
    if !conf.signs() {
        // an "if" block said "off"
        // SAFETY: the handler that nginx would have called, with its argument
        return unsafe { recorded(request.as_ptr()) };
    }
    let has_key = || credential(request, conf, clock::today()?);
    match admit(request, conf) {
        Admission::Granted if has_key().is_none() => UNAVAILABLE,
        Admission::Granted => match settle(request, conf) {
            Some(()) => start(request, recorded),
            None => NGX_HTTP_BAD_REQUEST as ngx_int_t,
        },
        Admission::AfterBody => {
            // SAFETY: a live request, whose body nobody has asked for
            let status =
                unsafe { ngx_http_read_client_request_body(request.as_ptr(), Some(body_is_read)) };
            if status >= NGX_HTTP_SPECIAL_RESPONSE as ngx_int_t { status } else { DONE }
        }
        Admission::Refused(status) => status,
    }
}

/// Whose signature a request gets on `day`, if any key is good then; what is wrong with the keys is
/// logged.
fn credential(request: Request, conf: &LocConf, day: Day) -> Option<Rc<Credential>> {
    let keys = conf.keys()?;
    let credential = keys.on(day);
    if credential.as_ref().is_none_or(|credential| credential.scope().day() != day)
        && let Some(complaint) = keys.complaint(day)
    {
        clock::complain(request.log(), &complaint);
    }
    credential
}

/// Settles where the request goes, and how: what variables say of it may change while it is handled,
/// and a body that was asked for is no longer streamed.
fn settle(request: Request, conf: &LocConf) -> Option<()> {
    let destination = conf.destination(request).ok()?;
    let context = Context::of(request)?;
    context.destination = Some(destination);
    context.streams = conf.streams() && request.is_main() && !request.has_asked_for_body();
    Some(())
}

/// Goes on when the body is there that may be none.
unsafe extern "C" fn body_is_read(r: *mut ngx_http_request_t) {
    // SAFETY: nginx passes a live request
    let Some(request) = (unsafe { Request::new(r) }) else { return };
    let failure = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
    let status = ffi::guard(request.log(), failure, || content(request));
    // SAFETY: ends what ngx_http_read_client_request_body() began, as every body handler does
    unsafe { ngx_http_finalize_request(r, status) };
}

/// Has the proxy module set up its upstream, and starts it with our create_request.
fn start(request: Request, recorded: Handler) -> ngx_int_t {
    let r = request.as_ptr();
    // SAFETY: the request is live, and these are plain pointers of it
    let (reading, before) = unsafe { ((*r).read_event_handler, (*r).upstream) };
    // keeps ngx_http_upstream_init_request() from starting before our create_request is in place
    request.set_aio(true);
    // SAFETY: the handler that nginx would have called, with its argument
    let status = unsafe { recorded(r) };
    request.set_aio(false);

    // SAFETY: as above; `upstream` is null or that of this request, and an old one may be left of
    // a request that was redirected
    let u = unsafe { (*r).upstream };
    if status != DONE || u.is_null() || u == before {
        return status;
    }
    // SAFETY: as above
    install(request, unsafe { &mut *u });

    // SAFETY: as above
    let now = unsafe { (*r).read_event_handler };
    let block = Some(ngx_http_block_reading as unsafe extern "C" fn(*mut ngx_http_request_t));
    if same(now, reading) || same(now, block) {
        // SAFETY: what the proxy module's body handler is, called as it would have been
        unsafe { ngx_http_upstream_init(r) };
    }
    // else nginx calls it when the body is complete
    status
}

type EventHandler = Option<unsafe extern "C" fn(*mut ngx_http_request_t)>;

fn same(a: EventHandler, b: EventHandler) -> bool {
    a.map(|f| f as usize) == b.map(|f| f as usize)
}

/// Puts our create_request in the place of the proxy module's.
fn install(request: Request, u: &mut ngx_http_upstream_t) {
    match Context::of(request) {
        Some(context) => {
            context.create_request = u.create_request;
            u.create_request = Some(create_request);
        }
        // the body may still be read: without our create_request, nothing must be sent
        None => u.create_request = Some(refuse_request),
    }
}

/// Stands in for create_request where there was no memory to remember it.
unsafe extern "C" fn refuse_request(_: *mut ngx_http_request_t) -> ngx_int_t {
    FAILED
}

/// Makes the upstream request as the proxy module does, and signs it.
unsafe extern "C" fn create_request(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx passes a live request
    let Some(request) = (unsafe { Request::new(r) }) else { return FAILED };
    ffi::guard(request.log(), FAILED, || match sign(request) {
        Ok(status) => status,
        Err(refusal) => {
            ngx::ngx_log_error!(NGX_LOG_ERR, request.log(), "aws_sign: {refusal}");
            FAILED
        }
    })
}

fn sign(request: Request) -> Result<ngx_int_t, Refusal> {
    let r = request.as_ptr();
    let context = Context::of(request).ok_or(Refusal::Memory)?;
    let (original, destination) =
        context.create_request.zip(context.destination).ok_or(Refusal::Memory)?;
    let streams = context.streams;
    // SAFETY: nginx creates a request for an upstream that is there
    let u = unsafe { (*r).upstream };
    let drop_body = is_made_get(request);
    if drop_body {
        // SAFETY: as above; the buffers stay those of the request's body
        unsafe { (*u).request_bufs = ptr::null_mut() };
    }
    // SAFETY: the function that nginx would have called, with its argument
    let status = unsafe { original(r) };
    if status != OK {
        return Ok(status);
    }

    // SAFETY: as above; a link of a chain has a buffer
    let (buf, wire, range, pasted) = unsafe {
        let chain = (*u).request_bufs.as_ref().ok_or(Refusal::NotHttp1)?;
        let wire = ffi::buf_bytes(&*chain.buf);
        let range = target_of((*u).uri, wire).ok_or(Refusal::NotHttp1)?;
        // with variables in "proxy_pass" the host is resolved when the request comes
        (chain.buf, wire, range, !(*u).resolved.is_null())
    };
    // SAFETY: as above
    let following = unsafe { (*(*u).request_bufs).next };

    let conf = LocConf::of(request).ok_or(Refusal::Memory)?;
    let date = clock::now().ok_or(Refusal::Credential)?;
    // the day may have ended while the body came
    let credential = credential(request, conf, date.day()).ok_or(Refusal::Credential)?;
    // SAFETY: as above; an upstream has a configuration
    let passes = unsafe { (*(*u).conf).pass_request_body != 0 } && !drop_body;
    let has_body = request.may_have_body() || !following.is_null();
    let body = match has_body && passes && !has_own_body(wire) {
        true => body::following(request, conf, streams, following)?,
        false => Body::NONE,
    };
    let rules = Rules {
        credential: &credential,
        date,
        host: destination.host(),
        drop_body,
        methods: conf.methods(),
        passed: conf.passed(),
        body,
    };
    let target = |wire| {
        let target = if pasted {
            let unparsed = request.has_valid_unparsed_uri().then(|| request.unparsed_uri());
            Target::pasted(wire, Origin { uri: request.uri(), args: request.args(), unparsed })
        } else {
            Target::encoded(wire)
        };
        match destination.lead() {
            Some(lead) => target.led_by(lead),
            None => target,
        }
    };
    if Injection::of(request).is_in(&wire[range.end..]) {
        return Err(Refusal::Injected);
    }
    let framed = Framed::of(request);
    let foreign = Foreign::new(request, original);
    let is_foreign = |name: &[u8]| {
        let passes = lists(conf.passed(), name)
            || framed == Framed::WithTrailer && streaming::is_framing(name);
        !passes && foreign.is_foreign(name)
    };
    let mut plan = Plan::new(&rules);
    plan.read(wire, range, target, is_foreign)?;
    let memory = ffi::pool_bytes(request.pool(), plan.capacity()).ok_or(Refusal::Memory)?;
    let parts = plan.write(memory, |canonical, string| debug::log(request, canonical, string))?;
    if credential.token().is_some() && !ffi::wipe_with(request.pool(), memory) {
        return Err(Refusal::Memory);
    }
    // SAFETY: as above; nothing else refers to the upstream and its buffer now
    let (u, buf) = unsafe { (&mut *u, &mut *buf) };
    replace(buf, memory, parts.len);
    let written = Written::new(memory, parts).ok_or(Refusal::Memory)?;
    // what nginx names in its messages about the upstream
    u.uri = written.string(&written.parts().target);
    Context::of(request).ok_or(Refusal::Memory)?.signed = Some(written);
    Ok(status)
}

/// Whether the buffer of a head has a body, too: what "proxy_set_body" says.
fn has_own_body(wire: &[u8]) -> bool {
    memchr::memmem::find(wire, b"\r\n\r\n").is_some_and(|end| end + 4 < wire.len())
}

/// Where the request target stands in `wire`: the proxy module remembers it.
fn target_of(uri: ngx_str_t, wire: &[u8]) -> Option<Range<usize>> {
    let start = (uri.data as usize).checked_sub(wire.as_ptr() as usize)?;
    let end = start.checked_add(uri.len)?;
    (end <= wire.len()).then_some(start..end)
}

/// Makes `memory` the contents of `buf`, whose flags stay. nginx goes back to `start` on a retry.
fn replace(buf: &mut ngx_buf_t, memory: &mut [u8], len: usize) {
    let Range { start, end } = memory.as_mut_ptr_range();
    buf.start = start;
    buf.pos = start;
    buf.last = memory[len..].as_mut_ptr();
    buf.end = end;
}
