//! The credential scope: `date/region/service/aws4_request`.

use std::fmt;

use super::{Day, is_credential_byte};

/// What a signing key is good for: one UTC day, one region, one service.
#[derive(Clone, PartialEq, Eq)]
pub struct Scope {
    day: Day,
    text: Box<str>,
    /// Where the region ends in `text`; it begins behind the date and its slash.
    region_end: usize,
    s3: bool,
}

/// The last part of every scope.
const TERMINATION: &str = "aws4_request";

/// Where the region begins: behind `yyyymmdd/`.
const REGION: usize = 9;

/// Why a text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeError {
    /// Not four parts with a slash between each two.
    Parts,
    /// The first part is no date of the form `yyyymmdd`.
    Date,
    /// The region is empty or holds a character that a credential cannot.
    Region,
    /// The service is empty or holds a character that a credential cannot.
    Service,
    /// The last part is not `aws4_request`.
    Termination,
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScopeError::Parts => "there are not four parts",
            ScopeError::Date => "the date is not a day in the form yyyymmdd",
            ScopeError::Region => "the region is empty or has an illegal character",
            ScopeError::Service => "the service is empty or has an illegal character",
            ScopeError::Termination => "the last part is not aws4_request",
        })
    }
}

impl std::error::Error for ScopeError {}

impl Scope {
    /// The scope of `region` and `service` on `day`.
    pub fn new(day: Day, region: &str, service: &str) -> Result<Self, ScopeError> {
        let legal = |part: &str| !part.is_empty() && part.bytes().all(is_credential_byte);
        if !legal(region) {
            return Err(ScopeError::Region);
        }
        if !legal(service) {
            return Err(ScopeError::Service);
        }
        Ok(Scope {
            day,
            text: format!("{day}/{region}/{service}/{TERMINATION}").into(),
            region_end: REGION + region.len(),
            s3: matches!(service, "s3" | "s3express" | "s3-object-lambda" | "s3-outposts"),
        })
    }

    /// Reads `date/region/service/aws4_request`.
    pub fn parse(text: &[u8]) -> Result<Self, ScopeError> {
        let mut parts = text.split(|byte| *byte == b'/');
        let (Some(date), Some(region), Some(service), Some(termination), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ScopeError::Parts);
        };
        let day = Day::parse(date).ok_or(ScopeError::Date)?;
        let region = std::str::from_utf8(region).map_err(|_| ScopeError::Region)?;
        let service = std::str::from_utf8(service).map_err(|_| ScopeError::Service)?;
        let scope = Scope::new(day, region, service)?;
        if termination != TERMINATION.as_bytes() {
            return Err(ScopeError::Termination);
        }
        Ok(scope)
    }

    /// The whole scope.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The UTC day on which the key is good.
    pub fn day(&self) -> Day {
        self.day
    }

    /// The region, such as `us-east-1`.
    pub fn region(&self) -> &str {
        &self.text[REGION..self.region_end]
    }

    /// Whether the service is S3 or of its kind, which take a path as it is: other services want it
    /// normalised and encoded twice.
    pub fn is_s3(&self) -> bool {
        self.s3
    }

    /// The service, such as `s3`.
    pub fn service(&self) -> &str {
        &self.text[self.region_end + 1..self.text.len() - TERMINATION.len() - 1]
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_into_its_parts_and_written_back() {
        let scope = Scope::parse(b"20150830/cn-north-1/s3/aws4_request").unwrap();
        assert_eq!(scope.day().to_string(), "20150830");
        assert_eq!((scope.region(), scope.service()), ("cn-north-1", "s3"));
        assert_eq!(scope.to_string(), "20150830/cn-north-1/s3/aws4_request");
        assert_eq!(scope, Scope::new(scope.day(), "cn-north-1", "s3").unwrap());
    }

    #[test]
    fn each_part_is_checked() {
        for (text, error) in [
            ("", ScopeError::Parts),
            ("20150830/us-east-1/s3", ScopeError::Parts),
            ("20150830/us-east-1/s3/aws4_request/", ScopeError::Parts),
            ("20150230/us-east-1/s3/aws4_request", ScopeError::Date),
            ("/us-east-1/s3/aws4_request", ScopeError::Date),
            ("20150830//s3/aws4_request", ScopeError::Region),
            ("20150830/us east/s3/aws4_request", ScopeError::Region),
            ("20150830/us-east-1//aws4_request", ScopeError::Service),
            ("20150830/us-east-1/s=3/aws4_request", ScopeError::Service),
            ("20150830/us-east-1/s3/aws4", ScopeError::Termination),
            ("20150830/us-east-1/s3/AWS4_REQUEST", ScopeError::Termination),
        ] {
            assert_eq!(Scope::parse(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(Scope::parse(b"20150830/\xff/s3/aws4_request"), Err(ScopeError::Region));
    }
}
