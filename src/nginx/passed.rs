//! The client's headers that may pass, by `aws_pass_header`.

/// What the names of headers begin with that change what a request does.
pub const PREFIX: &str = "x-amz-";

/// What the module alone says of a request.
const OWN: [&str; 3] = ["date", "content-sha256", "security-token"];

/// Whether this is the name of a header that the module alone sends.
pub fn is_own(name: &[u8]) -> bool {
    strip_prefix(name)
        .is_some_and(|rest| OWN.iter().any(|own| rest.eq_ignore_ascii_case(own.as_bytes())))
}

/// What follows the prefix in the name of a header, in any case.
pub fn strip_prefix(name: &[u8]) -> Option<&[u8]> {
    let (start, rest) = name.split_at_checked(PREFIX.len())?;
    start.eq_ignore_ascii_case(PREFIX.as_bytes()).then_some(rest)
}

/// Whether a byte may stand in a header's name, by RFC 9110, 5.6.2; a `*` may only in principle.
pub fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(byte)
}

/// A name, or what names begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This name.
    Name(Box<[u8]>),
    /// All names that begin so.
    Prefix(Box<[u8]>),
}

/// Whether any of these means a header.
pub fn lists(patterns: &[Pattern], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

impl Pattern {
    /// Reads `name` or `prefix*`; the error says what is expected.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let (stem, is_prefix) = match text.strip_suffix(b"*") {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let rest = strip_prefix(stem).filter(|rest| rest.iter().all(is_token_byte));
        match rest {
            Some(_) if is_own(stem) => Err("this header is the module's own"),
            Some(_) if is_prefix => Ok(Pattern::Prefix(stem.into())),
            Some(rest) if !rest.is_empty() && !rest.ends_with(b"-") => {
                Ok(Pattern::Name(stem.into()))
            }
            _ => Err("expected the name of an \"x-amz-\" header, or \"x-amz-prefix*\""),
        }
    }

    /// Whether a header is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Pattern::Name(own) => own.eq_ignore_ascii_case(name),
            Pattern::Prefix(prefix) => {
                name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_a_prefix() {
        for (pattern, name, matches) in [
            ("x-amz-acl", "X-Amz-ACL", true),
            ("X-Amz-Acl", "x-amz-acl", true),
            ("x-amz-acl", "x-amz-acl2", false),
            ("x-amz-acl", "x-amz-ac", false),
            ("x-amz-meta-*", "X-Amz-Meta-A", true),
            ("x-amz-meta-*", "x-amz-meta", false),
            ("x-amz-*", "x-amz-tagging", true),
            ("x-amz-*", "x-amzn-trace-id", false),
        ] {
            let parsed = Pattern::parse(pattern.as_bytes()).unwrap();
            assert_eq!(parsed.matches(name.as_bytes()), matches, "{pattern} {name}");
        }
        for bad in [
            "",
            "*",
            "x-*",
            "x-amz*",
            "x-amz-",
            "content-type",
            "x-amz-a*b",
            "x-amz-a b",
            "x-amz-a-",
        ] {
            assert!(Pattern::parse(bad.as_bytes()).unwrap_err().starts_with("expected"), "{bad}");
        }
        for own in ["x-amz-date", "X-Amz-Content-SHA256", "x-amz-security-token", "x-amz-date*"] {
            assert_eq!(Pattern::parse(own.as_bytes()), Err("this header is the module's own"));
        }
    }
}
