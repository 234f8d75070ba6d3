//! Whose a location's content handler is. nginx knows the handlers of its modules by address alone,
//! and the modules do not export them, so each is learned: its `*_pass` directive is applied to a
//! location that is thrown away.

use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;

use ngx::ffi::{
    ngx_array_t, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_module,
    ngx_http_handler_pt, ngx_http_max_module, ngx_http_module_t, ngx_http_upstream_conf_t,
    ngx_module_t, ngx_str_t,
};

use super::ffi::Conf;

/// Where a location's content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `proxy_pass`: what can be signed.
    Proxy,
    /// Another upstream, whose requests cannot.
    Gateway,
    /// This server, or a module that we know nothing of.
    Own,
}

/// The modules whose `*_pass` directive takes variables, as it then has no side effects.
const GATEWAYS: [(&CStr, &str); 4] = [
    (c"ngx_http_fastcgi_module", "fastcgi_pass"),
    (c"ngx_http_uwsgi_module", "uwsgi_pass"),
    (c"ngx_http_scgi_module", "scgi_pass"),
    (c"ngx_http_grpc_module", "grpc_pass"),
];

/// Says whose `handler` is, which the location of `ctx` has.
pub fn source(cf: Conf, handler: ngx_http_handler_pt) -> Source {
    // nginx's own modules stay where they are for the life of the process
    static PROXY: OnceLock<Option<usize>> = OnceLock::new();
    static OTHERS: OnceLock<[Option<usize>; GATEWAYS.len()]> = OnceLock::new();
    let Some(handler) = handler.map(|handler| handler as usize) else { return Source::Own };
    let proxy = PROXY.get_or_init(|| learn(cf, c"ngx_http_proxy_module", "proxy_pass"));
    if Some(handler) == *proxy {
        return Source::Proxy;
    }
    let others =
        OTHERS.get_or_init(|| GATEWAYS.map(|(module, directive)| learn(cf, module, directive)));
    if others.contains(&Some(handler)) || passes_to_memcached(cf) {
        return Source::Gateway;
    }
    Source::Own
}

/// The module of this name.
fn module(cf: Conf, name: &CStr) -> Option<&'static ngx_module_t> {
    // SAFETY: a cycle's modules are listed up to a null pointer, live as long as the process, and
    // have a name that ends with a NUL, or none
    unsafe {
        let mut modules = (*(*cf.as_ptr()).cycle).modules;
        while let Some(module) = (*modules).as_ref() {
            if !module.name.is_null() && CStr::from_ptr(module.name) == name {
                return Some(module);
            }
            modules = modules.add(1);
        }
    }
    None
}

/// The content handler that a directive installs.
fn learn(cf: Conf, name: &CStr, directive: &str) -> Option<usize> {
    let module = module(cf, name)?;
    let mut words = ["directive", "$host"]
        .map(|word| ngx_str_t { len: word.len(), data: word.as_ptr().cast_mut() });
    // SAFETY: the directive is called as nginx calls it while it reads a location, with contexts of
    // our own: every slot is filled as in the block that is being merged, but for the core module's,
    // which is a zeroed structure as nginx allocates it, and the module's own, which it makes
    // itself. The directive reads the words and keeps what it compiles of them in the pool; the
    // strings are static.
    unsafe {
        let mut command = module.commands;
        while (*command).name.len != 0 && (*command).name.as_bytes() != directive.as_bytes() {
            command = command.add(1);
        }
        let set = (*command).set?;
        let create = (*module.ctx.cast::<ngx_http_module_t>()).create_loc_conf?;
        let conf = create(cf.as_ptr());
        if conf.is_null() {
            return None;
        }
        let mut core: Box<ngx_http_core_loc_conf_t> = Box::new(std::mem::zeroed());
        let real = (*cf.as_ptr()).ctx.cast::<ngx_http_conf_ctx_t>();
        let mut slots = vec![ptr::null_mut(); ngx_http_max_module];
        ptr::copy_nonoverlapping((*real).loc_conf, slots.as_mut_ptr(), slots.len());
        slots[ngx_http_core_module.ctx_index] = (&raw mut *core).cast();
        slots[module.ctx_index] = conf;
        let mut ctx = ngx_http_conf_ctx_t { loc_conf: slots.as_mut_ptr(), ..*real };
        let mut args: ngx_array_t = *(*cf.as_ptr()).args;
        args.elts = words.as_mut_ptr().cast();
        args.nelts = words.len();
        let mut scratch = ngx_conf_t { args: &raw mut args, ..*cf.as_ptr() };
        scratch.ctx = (&raw mut ctx).cast();
        set(&raw mut scratch, command, conf);
        core.handler.map(|handler| handler as usize)
    }
}

/// Whether the block that is being merged has `memcached_pass`, or is inside of one that has.
fn passes_to_memcached(cf: Conf) -> bool {
    let conf = upstream_conf(cf, c"ngx_http_memcached_module");
    conf.is_some_and(|conf| !conf.upstream.is_null())
}

/// Whether `proxy_pass` in the block that is being merged sends bodies on while they arrive.
pub fn streams(cf: Conf) -> bool {
    let conf = upstream_conf(cf, c"ngx_http_proxy_module");
    conf.is_some_and(|conf| conf.request_buffering == 0 && conf.pass_request_body != 0)
}

/// What a module's configuration of the block that is being merged says of its upstream.
fn upstream_conf<'a>(cf: Conf, name: &CStr) -> Option<&'a ngx_http_upstream_conf_t> {
    let module = module(cf, name)?;
    // SAFETY: the context is that of the block that is being merged; the configuration of a module
    // that passes requests on begins with that of its upstream
    unsafe {
        let ctx = (*cf.as_ptr()).ctx.cast::<ngx_http_conf_ctx_t>();
        let conf = *(*ctx).loc_conf.add(module.ctx_index);
        conf.cast::<ngx_http_upstream_conf_t>().as_ref()
    }
}
