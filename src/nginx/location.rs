//! The location configuration: what the directives say, inherited and checked.

mod address;
mod keys;

use std::cell::OnceCell;
use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;

use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use ngx::ffi::{
    NGX_LOG_EMERG, NGX_LOG_WARN, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t,
    ngx_http_core_module, ngx_http_handler_pt,
};

use super::credential::{Keys, SecretKey, Token};
use super::ffi::{self, Conf, Place, Request};
use super::handlers::{self, Source};
use super::host::Addressing;
use super::methods::Methods;
use super::passed::Pattern;
use super::upstream;
use crate::sigv4::Scope;
pub use address::{Destination, Name};
pub use keys::RingKey;

/// What the directives say for one location.
#[derive(Default)]
pub struct LocConf {
    pub(super) access_key: Option<Rc<[u8]>>,
    pub(super) scope: Option<Rc<Scope>>,
    pub(super) keys: Rc<Vec<RingKey>>,
    pub(super) token: Option<Rc<Token>>,
    pub(super) secret: Option<Rc<SecretKey>>,
    pub(super) region: Option<Rc<str>>,
    pub(super) service: Option<Rc<str>>,
    pub(super) bucket: Option<Name>,
    pub(super) endpoint: Option<Name>,
    pub(super) addressing: Option<Addressing>,
    pub(super) methods: Option<Rc<Methods>>,
    pub(super) signs_payload: Option<bool>,
    pub(super) passed: Rc<Vec<Pattern>>,
    pub(super) sign: Option<bool>,
    /// Where the `aws_sign` that is in effect stands.
    pub(super) place: Option<Rc<Place>>,
    /// Whether that is in this very block, and the block is a location.
    pub(super) set_in_location: bool,
    /// The content handler of the location's "proxy_pass", which ours calls.
    handler: ngx_http_handler_pt,
    /// Whether bodies go upstream while they arrive.
    streams: bool,
    /// Whether the location's content comes from elsewhere, so that requests are refused.
    refuses: bool,
    /// Where the location's name is stored, which tells one location from another.
    name: Option<NonNull<u8>>,
    /// What follows from the directives for keys; nothing where one is missing.
    resolved: OnceCell<Option<Rc<Keys>>>,
    /// Where requests are addressed; `None` when that depends on the request.
    destination: Option<Rc<address::Fixed>>,
}

impl LocConf {
    /// The configuration that is in effect for `request`.
    pub fn of<'a>(request: Request) -> Option<&'a LocConf> {
        // SAFETY: our slot holds what `create` made, which lives as long as the configuration, and
        // so longer than the request
        unsafe { request.location_conf::<LocConf>(super::module()).as_ref() }
    }

    /// Whether upstream requests are signed.
    pub fn signs(&self) -> bool {
        self.sign == Some(true)
    }

    /// The methods that may be signed.
    pub fn methods(&self) -> &Methods {
        self.methods.as_deref().unwrap_or(&Methods::READING)
    }

    /// Whether bodies go upstream while they arrive.
    pub fn streams(&self) -> bool {
        self.streams
    }

    /// Whether bodies are signed.
    pub fn signs_payload(&self) -> bool {
        self.signs_payload != Some(false)
    }

    /// The content handler that ours stands in for.
    pub fn handler(&self) -> ngx_http_handler_pt {
        self.handler
    }

    /// The keys to sign with; `None` where a directive for them is missing.
    pub fn keys(&self) -> Option<&Keys> {
        self.resolved.get()?.as_deref()
    }

    /// The client's `x-amz-*` headers that may pass.
    pub fn passed(&self) -> &[Pattern] {
        &self.passed
    }
}

pub(super) unsafe extern "C" fn create(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx passes the configuration that it reads
    let Some(conf) = (unsafe { Conf::new(cf) }) else { return ptr::null_mut() };
    ffi::guard(conf.log(), ptr::null_mut(), || {
        ffi::pool_value(conf.pool(), LocConf::default()).cast()
    })
}

pub(super) unsafe extern "C" fn merge(
    cf: *mut ngx_conf_t,
    prev: *mut c_void,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the configuration that it reads and two of what `create` made, which
    // are not the same; `ctx` is that of the block that is merged (ngx_http_merge_locations)
    let (cf, prev, conf, ctx) = unsafe {
        let (Some(cf), Some(prev), Some(conf)) =
            (Conf::new(cf), prev.cast::<LocConf>().as_ref(), conf.cast::<LocConf>().as_mut())
        else {
            return NGX_CONF_ERROR;
        };
        (cf, prev, conf, (*cf.as_ptr()).ctx.cast::<ngx_http_conf_ctx_t>())
    };
    ffi::guard(cf.log(), NGX_CONF_ERROR, || {
        // SAFETY: every block has the core module's location configuration, and nothing else
        // refers to it while ours is merged
        let core = unsafe {
            let index = ngx_http_core_module.ctx_index;
            (*(*ctx).loc_conf.add(index)).cast::<ngx_http_core_loc_conf_t>().as_mut()
        };
        let Some(core) = core else { return NGX_CONF_ERROR };
        if !conf.inherit(prev, cf) {
            return NGX_CONF_ERROR;
        }
        conf.hook(prev, core, cf);
        conf.check(core, cf)
    })
}

impl LocConf {
    /// Takes from `prev` what is not set here; false if the keys of a level contradict each other.
    fn inherit(&mut self, prev: &LocConf, cf: Conf) -> bool {
        fn take<T: Clone>(own: &mut Option<T>, prev: &Option<T>) {
            if own.is_none() {
                own.clone_from(prev);
            }
        }
        let own_keys = self.has_own_keys();
        self.inherit_keys(prev);
        take(&mut self.methods, &prev.methods);
        take(&mut self.signs_payload, &prev.signs_payload);
        if self.passed.is_empty() {
            self.passed.clone_from(&prev.passed);
        }
        if self.sign.is_none() {
            self.sign = prev.sign;
            self.place.clone_from(&prev.place);
        }
        let own_address =
            self.bucket.is_some() || self.endpoint.is_some() || self.addressing.is_some();
        take(&mut self.bucket, &prev.bucket);
        take(&mut self.endpoint, &prev.endpoint);
        take(&mut self.addressing, &prev.addressing);
        self.destination = match &prev.destination {
            Some(inherited) if !own_address => Some(inherited.clone()),
            _ => self.fixed_destination(),
        };

        // a level's keys are looked at once, and shared by the levels that inherit them
        let Some(inherited) = prev.resolve(cf) else { return false };
        if own_keys {
            return self.resolve(cf).is_some();
        }
        self.resolved.set(inherited).is_ok()
    }

    /// Puts our content handler in the place of the location's own.
    fn hook(&mut self, prev: &LocConf, core: &mut ngx_http_core_loc_conf_t, cf: Conf) {
        // the blocks of "if" and "limit_except" run with the handler of the location around them,
        // whose name they share
        self.name = NonNull::new(core.name.data);
        let within = self.name.is_some() && self.name == prev.name;
        let source = handlers::source(cf, core.handler);
        self.streams = handlers::streams(cf);
        self.handler = match core.handler {
            None if within => prev.handler,
            own => own.filter(|_| source == Source::Proxy),
        };
        // what is served from here needs no signature, unless the operator thinks that it has one
        let foreign = core.handler.is_some() && self.handler.is_none();
        self.refuses = foreign && (source == Source::Gateway || self.set_in_location);
        if self.signs() && self.handler.is_some() {
            core.handler = Some(upstream::handle);
        } else if self.signs() && self.refuses {
            core.handler = Some(upstream::refuse_location);
        }
    }

    /// Refuses to sign without what signing takes, and warns of an `aws_sign` that does nothing.
    fn check(&self, core: &ngx_http_core_loc_conf_t, cf: Conf) -> *mut c_char {
        let Some(place) = self.place.as_deref().filter(|_| self.signs()) else {
            return NGX_CONF_OK;
        };
        if let Some(missing) = self.missing()
            && (self.handler.is_some() || self.set_in_location)
        {
            ngx::ngx_log_error!(
                NGX_LOG_EMERG,
                cf.log(),
                "no \"{missing}\" is defined for the \"aws_sign\" directive in {place}"
            );
            return NGX_CONF_ERROR;
        }
        if self.refuses && self.set_in_location {
            ngx::ngx_log_error!(
                NGX_LOG_WARN,
                cf.log(),
                "\"aws_sign\" directive works with \"proxy_pass\" only, requests are refused in \
                 {place}"
            );
        }
        // a block inside may have the handler
        let nothing = self.handler.is_none() && !self.refuses;
        if nothing && self.set_in_location && core.locations.is_null() {
            ngx::ngx_log_error!(
                NGX_LOG_WARN,
                cf.log(),
                "\"aws_sign\" directive has no effect in a location without \"proxy_pass\" in \
                 {place}"
            );
        }
        NGX_CONF_OK
    }
}
