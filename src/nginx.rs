//! The nginx module: statics and registration, no logic.

mod admission;
mod body;
mod clock;
mod conf;
mod context;
pub(crate) mod credential;
mod debug;
mod ffi;
mod foreign;
mod handlers;
pub(crate) mod head;
pub(crate) mod host;
mod injection;
mod location;
pub(crate) mod methods;
pub(crate) mod passed;
mod secret_file;
mod streaming;
pub(crate) mod target;
mod upstream;
mod variables;

use std::ptr;

use ngx::ffi::{NGX_HTTP_MODULE, ngx_http_module_t, ngx_module_t, ngx_uint_t};

static mut CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(variables::add),
    postconfiguration: Some(body::add_filter),
    create_main_conf: None,
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(location::create),
    merge_loc_conf: Some(location::merge),
};

/// What nginx looks up in the file that it loads.
#[allow(missing_docs)]
mod exported {
    use super::ngx_http_aws_auth_module;
    ngx::ngx_modules!(ngx_http_aws_auth_module);
}

/// The module, as nginx knows it.
#[allow(non_upper_case_globals)]
pub static mut ngx_http_aws_auth_module: ngx_module_t = ngx_module_t {
    ctx: (&raw mut CONTEXT).cast(),
    commands: (&raw mut conf::COMMANDS).cast(),
    type_: NGX_HTTP_MODULE as ngx_uint_t,
    ..ngx_module_t::default()
};

/// The module, whose indices nginx set when it loaded it.
fn module() -> &'static ngx_module_t {
    // SAFETY: nginx writes to the module while it loads the configuration, before any of our
    // callbacks for it; it has one thread then and when it calls us
    unsafe { &*ptr::addr_of!(ngx_http_aws_auth_module) }
}
