//! The directives: their table, and what becomes of their values.

pub mod secrecy;

use std::borrow::Cow;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::rc::Rc;

use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use ngx::ffi::{
    NGX_CONF_1MORE, NGX_CONF_NOARGS, NGX_CONF_TAKE1, NGX_CONF_TAKE12, NGX_HTTP_LIF_CONF,
    NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_MAIN_CONF, NGX_HTTP_SRV_CONF,
    NGX_LOG_WARN, ngx_command_t, ngx_conf_t, ngx_str_t, ngx_uint_t,
};
use ngx::ngx_string;

use super::credential::{SecretKey, Token};
use super::ffi::{self, Conf, Template};
use super::host::Addressing;
use super::location::{LocConf, Name, RingKey};
use super::methods::Methods;
use super::passed::Pattern;
use super::{clock, host, secret_file};
use crate::sigv4::{Scope, SigningKey, is_credential_byte};
use secrecy::{is_secret, may_be_secret, warn_of_secret};

/// Selects the directive in the one setter, by `offset`.
mod directive {
    pub const ACCESS_KEY: usize = 0;
    pub const KEY_SCOPE: usize = 1;
    pub const SIGNING_KEY: usize = 2;
    pub const SESSION_TOKEN: usize = 3;
    pub const SECRET_KEY: usize = 4;
    pub const REGION: usize = 5;
    pub const SERVICE: usize = 6;
    pub const S3_BUCKET: usize = 7;
    pub const ENDPOINT: usize = 8;
    pub const S3_ADDRESSING: usize = 9;
    pub const SIGN_METHODS: usize = 10;
    pub const PAYLOAD: usize = 11;
    pub const PASS_HEADER: usize = 12;
    pub const SIGN: usize = 13;
}

const ANYWHERE: ngx_uint_t =
    (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF) as ngx_uint_t;

const fn command(name: ngx_str_t, offset: usize, kind: u32) -> ngx_command_t {
    ngx_command_t {
        name,
        type_: ANYWHERE | kind as ngx_uint_t,
        set: Some(set),
        conf: NGX_HTTP_LOC_CONF_OFFSET,
        offset,
        post: ptr::null_mut(),
    }
}

pub(super) static mut COMMANDS: [ngx_command_t; 15] = [
    command(ngx_string!("aws_access_key"), directive::ACCESS_KEY, NGX_CONF_TAKE1),
    command(ngx_string!("aws_key_scope"), directive::KEY_SCOPE, NGX_CONF_TAKE1),
    command(ngx_string!("aws_signing_key"), directive::SIGNING_KEY, NGX_CONF_TAKE12),
    command(ngx_string!("aws_session_token"), directive::SESSION_TOKEN, NGX_CONF_TAKE1),
    command(ngx_string!("aws_secret_key"), directive::SECRET_KEY, NGX_CONF_TAKE1),
    command(ngx_string!("aws_region"), directive::REGION, NGX_CONF_TAKE1),
    command(ngx_string!("aws_service"), directive::SERVICE, NGX_CONF_TAKE1),
    command(ngx_string!("aws_s3_bucket"), directive::S3_BUCKET, NGX_CONF_TAKE1),
    command(ngx_string!("aws_endpoint"), directive::ENDPOINT, NGX_CONF_TAKE1),
    command(ngx_string!("aws_s3_addressing"), directive::S3_ADDRESSING, NGX_CONF_TAKE1),
    command(ngx_string!("aws_sign_methods"), directive::SIGN_METHODS, NGX_CONF_1MORE),
    command(ngx_string!("aws_payload"), directive::PAYLOAD, NGX_CONF_TAKE1),
    command(ngx_string!("aws_pass_header"), directive::PASS_HEADER, NGX_CONF_1MORE),
    command(
        ngx_string!("aws_sign"),
        directive::SIGN,
        NGX_HTTP_LIF_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1,
    ),
    ngx_command_t::empty(),
];

/// What is expected in the place of a value.
type Expected = Cow<'static, str>;

/// Why a directive is refused.
enum Bad<'a> {
    /// For its first argument.
    First(Expected),
    /// For another one.
    Word(&'a [u8], Expected),
    /// nginx itself has said it.
    Said,
}

impl<E: Into<Expected>> From<E> for Bad<'_> {
    fn from(expected: E) -> Self {
        Bad::First(expected.into())
    }
}

unsafe extern "C" fn set(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the configuration that it reads, one of COMMANDS, and what `create` made
    let (cf, which, conf) = unsafe {
        let (Some(cf), Some(command), Some(conf)) =
            (Conf::new(cf), command.as_ref(), conf.cast::<LocConf>().as_mut())
        else {
            return NGX_CONF_ERROR;
        };
        (cf, command.offset, conf)
    };
    ffi::guard(cf.log(), NGX_CONF_ERROR, || {
        let status = conf.set(which, cf);
        if is_secret(which) {
            cf.wipe_argument();
            ffi::wipe_stack();
        }
        status
    })
}

impl LocConf {
    fn set(&mut self, which: usize, cf: Conf) -> *mut c_char {
        let (name, value) = (cf.word(0).unwrap_or_default(), cf.word(1).unwrap_or(b"on"));
        if self.is_duplicate(which, cf) {
            return c"is duplicate".as_ptr().cast_mut();
        }
        let name = String::from_utf8_lossy(name);
        let other = match which {
            directive::SIGNING_KEY if self.secret.is_some() => Some("aws_secret_key"),
            directive::SECRET_KEY if !self.keys.is_empty() => Some("aws_signing_key"),
            _ => None,
        };
        if let Some(other) = other {
            cf.error(format_args!("\"{name}\" directive cannot stand beside \"{other}\""));
            return NGX_CONF_ERROR;
        }
        let (value, expected) = match self.accept(which, value, cf) {
            Ok(()) => {
                warn_of_secret(which, value, cf);
                return NGX_CONF_OK;
            }
            Err(Bad::First(expected)) => (value, expected),
            Err(Bad::Word(word, expected)) => (word, expected),
            Err(Bad::Said) => return NGX_CONF_ERROR,
        };
        if is_secret(which) || may_be_secret(value) {
            cf.error(format_args!("invalid value in \"{name}\" directive, {expected}"));
        } else {
            let value = String::from_utf8_lossy(value);
            cf.error(format_args!("invalid value \"{value}\" in \"{name}\" directive, {expected}"));
        }
        NGX_CONF_ERROR
    }

    fn is_duplicate(&self, which: usize, cf: Conf) -> bool {
        match which {
            directive::ACCESS_KEY => self.access_key.is_some(),
            directive::KEY_SCOPE => self.scope.is_some(),
            // a ring has many, but one at most that "aws_key_scope" speaks of
            directive::SIGNING_KEY => {
                cf.word(2).is_none() && self.keys.iter().any(|key| key.scope.is_none())
            }
            directive::SESSION_TOKEN => self.token.is_some(),
            directive::SECRET_KEY => self.secret.is_some(),
            directive::REGION => self.region.is_some(),
            directive::SERVICE => self.service.is_some(),
            directive::S3_BUCKET => self.bucket.is_some(),
            directive::ENDPOINT => self.endpoint.is_some(),
            directive::S3_ADDRESSING => self.addressing.is_some(),
            directive::SIGN_METHODS => self.methods.is_some(),
            directive::PAYLOAD => self.signs_payload.is_some(),
            directive::PASS_HEADER => false,
            _ => self.sign.is_some(),
        }
    }

    fn accept<'a>(&mut self, which: usize, value: &'a [u8], cf: Conf) -> Result<(), Bad<'a>> {
        match which {
            directive::ACCESS_KEY => {
                if value.is_empty() || !value.iter().copied().all(is_credential_byte) {
                    return Err(
                        "expected an access key id without \"/\", \",\", \"=\" and spaces".into()
                    );
                }
                self.access_key = Some(value.into());
            }
            directive::KEY_SCOPE => {
                let scope = scope(value)?;
                warn_of_other_day(&scope, cf);
                self.scope = Some(scope.into());
            }
            directive::SIGNING_KEY => {
                let key = SigningKey::from_base64(value)
                    .map_err(|error| format!("expected 32 bytes in base64: {error}"))?;
                let scope = cf.word(2).map(scope).transpose()?;
                // nobody else has the keys while the level is being read
                if let Some(keys) = Rc::get_mut(&mut self.keys) {
                    keys.push(RingKey { scope, key: key.into(), place: cf.place() });
                }
            }
            directive::SESSION_TOKEN => {
                let token = Token::new(value).ok_or("expected a token without spaces")?;
                self.token = Some(token.into());
            }
            directive::SECRET_KEY => {
                let file = match value.strip_prefix(b"file:") {
                    Some(path) => Some(secret_file::read(path, cf)?),
                    None => None,
                };
                let text = file.as_ref().map_or(value, |file| file);
                let expected = "expected a secret access key without spaces, or \"file:path\"";
                self.secret = Some(SecretKey::new(text).ok_or(expected)?.into());
            }
            directive::REGION => {
                self.region = Some(scope_part(value, "region, such as us-east-1")?)
            }
            directive::SERVICE => self.service = Some(scope_part(value, "service, such as s3")?),
            directive::S3_BUCKET => {
                let expected = "expected a bucket name that can lead a host name";
                self.bucket = Some(name(value, cf, host::bucket, expected)?);
            }
            directive::ENDPOINT => {
                let expected = "expected \"host\" or \"host:port\", without a scheme and a path";
                self.endpoint = Some(name(value, cf, host::endpoint, expected)?);
            }
            directive::S3_ADDRESSING => {
                self.addressing = Some(match value {
                    b"virtual" => Addressing::Virtual,
                    b"path" => Addressing::Path,
                    _ => return Err("it must be \"virtual\" or \"path\"".into()),
                });
            }
            directive::SIGN_METHODS => {
                let names = (1..).map_while(|index| cf.word(index));
                let expected = "expected GET, HEAD, PUT, POST, DELETE or OPTIONS";
                let methods =
                    Methods::new(names).map_err(|word| Bad::Word(word, expected.into()))?;
                self.methods = Some(methods.into());
            }
            directive::PAYLOAD => {
                self.signs_payload = Some(match value {
                    b"signed" => true,
                    b"unsigned" => false,
                    _ => return Err("it must be \"signed\" or \"unsigned\"".into()),
                });
            }
            directive::PASS_HEADER => {
                let words = (1..).map_while(|index| cf.word(index));
                let patterns = words.map(|word| {
                    Pattern::parse(word).map_err(|expected| Bad::Word(word, expected.into()))
                });
                let patterns: Vec<_> = patterns.collect::<Result<_, _>>()?;
                // nobody else has them while the level is being read
                if let Some(passed) = Rc::get_mut(&mut self.passed) {
                    passed.extend(patterns);
                }
            }
            _ => {
                self.sign = Some(if value.eq_ignore_ascii_case(b"on") {
                    true
                } else if value.eq_ignore_ascii_case(b"off") {
                    false
                } else {
                    return Err("it must be \"on\" or \"off\"".into());
                });
                self.place = Some(Rc::new(cf.place()));
                self.set_in_location =
                    cf.block() & (NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF) as ngx_uint_t != 0;
            }
        }
        Ok(())
    }
}

fn scope(value: &[u8]) -> Result<Scope, Expected> {
    Scope::parse(value).map_err(|error| {
        format!("expected \"yyyymmdd/region/service/aws4_request\": {error}").into()
    })
}

/// A name that `check` accepts, or one with variables in it, which is checked with each request.
fn name<'a>(
    value: &[u8],
    cf: Conf,
    check: fn(&[u8]) -> Option<&str>,
    expected: &'static str,
) -> Result<Name, Bad<'a>> {
    if Template::is_template(value) {
        let template = Template::compile(cf, value).ok_or(Bad::Said)?;
        return Ok(Name::Variable(template));
    }
    check(value).map(|name| Name::Fixed(name.into())).ok_or_else(|| expected.into())
}

/// A part of a scope.
fn scope_part(value: &[u8], what: &str) -> Result<Rc<str>, Expected> {
    let legal = !value.is_empty() && value.iter().copied().all(is_credential_byte);
    let text = str::from_utf8(value).ok().filter(|_| legal);
    text.map(Rc::from).ok_or_else(|| format!("expected a {what}").into())
}

/// A key of another day signs nothing that S3 accepts: worth a warning, but the file is right.
fn warn_of_other_day(scope: &Scope, cf: Conf) {
    if let Some(today) = clock::today().filter(|today| *today != scope.day()) {
        ngx::ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf.as_ptr(),
            "the signing key of \"aws_key_scope\" is for {}, but today is {today} (UTC): S3 refuses \
             a key of another day",
            scope.day()
        );
    }
}
