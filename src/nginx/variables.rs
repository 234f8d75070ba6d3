//! The variables: one table, one getter.

use std::ptr::NonNull;

use ngx::ffi::{
    NGX_ERROR, NGX_HTTP_VAR_CHANGEABLE, NGX_HTTP_VAR_NOCACHEABLE, NGX_OK, ngx_conf_t,
    ngx_http_add_variable, ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
    ngx_uint_t,
};
use ngx::ngx_string;

use super::context::{Context, Written};
use super::ffi::{self, Conf, Request};
use super::head::{Body, Plan, Rules, Signed};
use super::location::{Destination, LocConf};
use super::methods::Methods;
use super::target::Target;
use super::{clock, debug};

type Part = fn(&Signed) -> &std::ops::Range<usize>;

/// Each variable is a part of the signed request; its place here is the getter's `data`.
static PARTS: [Part; 7] = [
    |parts| &parts.target,
    |parts| &parts.host,
    |parts| &parts.date,
    |parts| &parts.content_sha256,
    |parts| &parts.signed_headers,
    |parts| &parts.authorization,
    |parts| &parts.key_scope,
];

/// The places of variables that are no parts of a request, or known without a signature.
const HOST: usize = 1;
const KEY_SCOPE: usize = PARTS.len() - 1;
const REMAINING: usize = PARTS.len();
const BUCKET: usize = PARTS.len() + 1;

const fn names() -> [ngx_str_t; BUCKET + 1] {
    [
        ngx_string!("aws_uri"),
        ngx_string!("aws_host"),
        ngx_string!("aws_date"),
        ngx_string!("aws_content_sha256"),
        ngx_string!("aws_signed_headers"),
        ngx_string!("aws_authorization"),
        ngx_string!("aws_key_scope"),
        ngx_string!("aws_key_remaining"),
        ngx_string!("aws_s3_bucket"),
    ]
}

/// Makes the variables known, before the configuration is read.
pub(super) unsafe extern "C" fn add(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx passes the configuration that it is about to read
    let Some(conf) = (unsafe { Conf::new(cf) }) else { return NGX_ERROR as ngx_int_t };
    ffi::guard(conf.log(), NGX_ERROR as ngx_int_t, || {
        for (data, mut name) in names().into_iter().enumerate() {
            // what they say changes when the request is signed; who has a "map" to the last name
            // keeps it as it is, and each value of ours says so again
            let flags =
                if data == BUCKET { NGX_HTTP_VAR_CHANGEABLE } else { NGX_HTTP_VAR_NOCACHEABLE };
            let flags = flags as ngx_uint_t;
            // SAFETY: nginx copies the name, and returns null or a variable that is ours to set up
            let variable = unsafe { ngx_http_add_variable(cf, &mut name, flags).as_mut() };
            let Some(variable) = variable else { return NGX_ERROR as ngx_int_t };
            variable.get_handler = Some(get);
            variable.data = data;
        }
        NGX_OK as ngx_int_t
    })
}

unsafe extern "C" fn get(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    data: usize,
) -> ngx_int_t {
    // SAFETY: nginx passes a live request and the value to fill
    let (Some(request), Some(value)) = (unsafe { (Request::new(r), value.as_mut()) }) else {
        return NGX_ERROR as ngx_int_t;
    };
    ffi::guard(request.log(), NGX_ERROR as ngx_int_t, || {
        value.set_no_cacheable(1);
        match part(request, data) {
            Some(string) => {
                value.data = string.data;
                value.set_len(string.len as u32);
                value.set_valid(1);
                value.set_not_found(0);
            }
            None => value.set_not_found(1),
        }
        NGX_OK as ngx_int_t
    })
}

fn part(request: Request, index: usize) -> Option<ngx_str_t> {
    let signed = Context::of(request)?.signed.is_some();
    match index {
        HOST if !signed => {
            return Some(ffi::string(destination(request, LocConf::of(request)?)?.host()?));
        }
        KEY_SCOPE if !signed => {
            let credential = LocConf::of(request)?.keys()?.on(clock::today()?)?;
            return ffi::pool_string(request.pool(), credential.scope().as_str());
        }
        BUCKET => {
            return destination(request, LocConf::of(request)?)?.bucket().map(ffi::string);
        }
        REMAINING => {
            let last = LocConf::of(request)?.keys()?.last_day()?;
            let seconds = (last.end() - ngx::ffi::ngx_time()).max(0);
            return ffi::pool_string(request.pool(), &seconds.to_string());
        }
        _ => {}
    }
    let written = written(request)?;
    PARTS.get(index).map(|part| written.string(part(written.parts())))
}

/// What a description depends on: a rewrite or another location makes it another one.
#[derive(Clone, Copy, PartialEq)]
pub struct Described {
    conf: *const LocConf,
    destination: Destination,
    head: bool,
    uri: (*const u8, usize),
    args: (*const u8, usize),
    unparsed: bool,
    second: i64,
}

impl Described {
    fn now(request: Request, conf: &LocConf, destination: Destination, head: bool) -> Self {
        let address = |bytes: &[u8]| (bytes.as_ptr(), bytes.len());
        Described {
            conf,
            destination,
            head,
            uri: address(request.uri()),
            args: address(request.args()),
            unparsed: request.has_valid_unparsed_uri(),
            second: ngx::ffi::ngx_time(),
        }
    }
}

/// The request as it was signed, or else as it would be.
fn written<'a>(request: Request) -> Option<&'a Written> {
    let conf = LocConf::of(request)?;
    if Context::of(request)?.signed.is_some() {
        return Context::of(request)?.signed.as_ref();
    }
    let head = match request.upstream_method().unwrap_or(request.method_name()) {
        b"GET" => false,
        b"HEAD" => true,
        // nothing else is ever signed, not by hand either
        _ => return None,
    };
    let destination = destination(request, conf)?;
    // nothing that follows evaluates variables, which may be ours again
    let context = Context::of(request)?;
    let of = Described::now(request, conf, destination, head);
    // SAFETY: made below, in the pool of the request, and never changed
    let known = context.described.map(|known| unsafe { known.as_ref() });
    if let Some((described, written)) = known
        && *described == of
    {
        return Some(written);
    }
    let written = describe(request, conf, destination, head)?;
    let described = NonNull::new(ffi::pool_plain(request.pool(), (of, written)))?;
    context.described = Some(described);
    // SAFETY: as above
    Some(unsafe { &described.as_ref().1 })
}

/// Where the request goes.
fn destination(request: Request, conf: &LocConf) -> Option<Destination> {
    let settled = Context::of(request)?.destination;
    settled.or_else(|| conf.destination(request).ok())
}

/// Signs the request that a plain `proxy_pass` would send to our host.
fn describe(
    request: Request,
    conf: &LocConf,
    destination: Destination,
    head: bool,
) -> Option<Written> {
    let date = clock::now()?;
    let credential = conf.keys()?.on(date.day())?;
    let rules = Rules {
        credential: &credential,
        date,
        host: Some(destination.host()?),
        drop_body: true,
        methods: &Methods::READING,
        passed: &[],
        body: Body::NONE,
    };
    let wire: &[u8] = if head { b"HEAD / HTTP/1.1\r\n\r\n" } else { b"GET / HTTP/1.1\r\n\r\n" };
    let slash = if head { 5..6 } else { 4..5 };
    let target = |_| {
        let target = if request.has_valid_unparsed_uri() {
            Target::encoded(request.unparsed_uri())
        } else {
            Target::decoded(request.uri(), request.args())
        };
        // where the request is signed afterwards, the bucket is put there then
        match destination.lead().filter(|_| !conf.signs()) {
            Some(lead) => target.led_by(lead),
            None => target,
        }
    };
    let mut plan = Plan::new(&rules);
    plan.read(wire, slash, target, |_| false).ok()?;
    let memory = ffi::pool_bytes(request.pool(), plan.capacity())?;
    let parts =
        plan.write(memory, |canonical, string| debug::log(request, canonical, string)).ok()?;
    if credential.token().is_some() && !ffi::wipe_with(request.pool(), memory) {
        return None;
    }
    Written::new(memory, parts)
}
