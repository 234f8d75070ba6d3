//! Where requests are addressed: by values that are known at once, or with each request.

use std::rc::Rc;

use ngx::ffi::{NGX_LOG_ERR, ngx_str_t};

use super::LocConf;
use crate::nginx::context::Context;
use crate::nginx::ffi::{self, Request, Template};
use crate::nginx::host;

/// The value of `aws_s3_bucket` or `aws_endpoint`.
#[derive(Clone)]
pub enum Name {
    /// A name that was checked.
    Fixed(Rc<str>),
    /// One that has to be checked when it is known.
    Variable(Template),
}

/// The host to send and sign, and what leads the path; they live as long as the request.
#[derive(Clone, Copy, Default)]
pub struct Destination {
    host: Option<ngx_str_t>,
    lead: Option<ngx_str_t>,
    /// How much of the host, or of what follows the slash of `lead`, names the bucket.
    bucket: usize,
}

impl Destination {
    /// The host to send and sign; `None` for the one that nginx writes.
    pub fn host<'a>(&self) -> Option<&'a [u8]> {
        self.host.map(ffi::bytes)
    }

    /// What leads the path of a request.
    pub fn lead<'a>(&self) -> Option<&'a [u8]> {
        self.lead.map(ffi::bytes)
    }

    /// The bucket.
    pub fn bucket<'a>(&self) -> Option<&'a [u8]> {
        let named = match self.lead() {
            Some(lead) => lead.get(1..),
            None => self.host(),
        };
        named?.get(..self.bucket).filter(|bucket| !bucket.is_empty())
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        self.host() == other.host() && self.lead() == other.lead()
    }
}

/// A destination of which all is known while the configuration is read.
#[derive(Default)]
pub struct Fixed {
    host: Option<Box<str>>,
    lead: Option<Box<str>>,
    bucket: usize,
}

/// A name that is none, or there was no memory for one.
pub struct NoDestination;

impl LocConf {
    /// What is known of the destination now; `None` when it takes a request to know it.
    pub(super) fn fixed_destination(&self) -> Option<Rc<Fixed>> {
        let name = |name: &Option<Name>| match name {
            None => Some(None),
            Some(Name::Fixed(name)) => Some(Some(name.clone())),
            Some(Name::Variable(_)) => None,
        };
        let (bucket, endpoint) = (name(&self.bucket)?, name(&self.endpoint)?);
        let addressing = self.addressing.unwrap_or_default();
        let (host, lead) = host::address(bucket.as_deref(), endpoint.as_deref(), addressing);
        Some(Rc::new(Fixed {
            host: host.map(|texts| texts.concat().into()),
            lead: lead.map(|texts| texts.concat().into()),
            bucket: bucket.map_or(0, |bucket| bucket.len()),
        }))
    }

    /// Where `request` is addressed; an error is logged.
    pub fn destination(&self, request: Request) -> Result<Destination, NoDestination> {
        if let Some(fixed) = &self.destination {
            let string = |text: &str| ffi::string(text.as_bytes());
            return Ok(Destination {
                host: fixed.host.as_deref().map(string),
                lead: fixed.lead.as_deref().map(string),
                bucket: fixed.bucket,
            });
        }
        let context = || Context::of(request).ok_or(NoDestination);
        if std::mem::replace(&mut context()?.evaluating, true) {
            // the bucket's name is made of itself
            return Err(NoDestination);
        }
        let destination = self.evaluated(request);
        context()?.evaluating = false;
        destination
    }

    /// What variables make of the destination.
    fn evaluated(&self, request: Request) -> Result<Destination, NoDestination> {
        let bucket = evaluate(request, &self.bucket, "aws_s3_bucket", "bucket name", host::bucket)?;
        let endpoint = evaluate(request, &self.endpoint, "aws_endpoint", "host", host::endpoint)?;
        let addressing = self.addressing.unwrap_or_default();
        let (host, lead) = host::address(bucket, endpoint, addressing);
        let concat = |texts: &[&str]| {
            ffi::pool_concat(request.pool(), texts).map(ffi::string).ok_or(NoDestination)
        };
        Ok(Destination {
            host: host.map(|texts| concat(&texts)).transpose()?,
            lead: lead.map(|texts| concat(&texts)).transpose()?,
            bucket: bucket.map_or(0, str::len),
        })
    }
}

fn evaluate<'a>(
    request: Request,
    name: &'a Option<Name>,
    directive: &str,
    what: &str,
    check: fn(&[u8]) -> Option<&str>,
) -> Result<Option<&'a str>, NoDestination> {
    let template = match name {
        None => return Ok(None),
        Some(Name::Fixed(name)) => return Ok(Some(name)),
        Some(Name::Variable(template)) => template,
    };
    let value = template.evaluate(request).ok_or(NoDestination)?;
    check(value).map(Some).ok_or_else(|| {
        ngx::ngx_log_error!(
            NGX_LOG_ERR,
            request.log(),
            "aws_sign: \"{}\" of \"{directive}\" is no {what}",
            value.escape_ascii()
        );
        NoDestination
    })
}
