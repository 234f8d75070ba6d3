//! Bucket names and endpoints: the two halves of the host that is signed.

/// Where S3 is, unless `aws_endpoint` says otherwise.
const DEFAULT_ENDPOINT: &str = "s3.amazonaws.com";

/// Where a request names its bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// In front of the host.
    #[default]
    Virtual,
    /// In front of the path.
    Path,
}

/// The texts that make the host to send and sign, where one is known, and those that lead the path:
/// `/` and the bucket.
///
/// Source: [Virtual hosting of general purpose buckets](https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html).
pub fn address<'a>(
    bucket: Option<&'a str>,
    endpoint: Option<&'a str>,
    addressing: Addressing,
) -> (Option<[&'a str; 3]>, Option<[&'a str; 2]>) {
    let known = endpoint.unwrap_or(DEFAULT_ENDPOINT);
    match (bucket, addressing) {
        (Some(bucket), Addressing::Virtual) => (Some([bucket, ".", known]), None),
        (Some(bucket), Addressing::Path) => (Some([known, "", ""]), Some(["/", bucket])),
        (None, _) => (endpoint.map(|endpoint| [endpoint, "", ""]), None),
    }
}

/// Checks a bucket name that can lead a host name: letters, digits and hyphens with dots between.
pub fn bucket(value: &[u8]) -> Option<&str> {
    let label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && label[0] != b'-'
            && label[label.len() - 1] != b'-'
    };
    let legal = value.len() <= 253 && value.split(|byte| *byte == b'.').all(label);
    std::str::from_utf8(value).ok().filter(|_| legal)
}

/// Checks `host` or `host:port`; a host may be an IPv6 address in brackets.
pub fn endpoint(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            ("ipv6", port)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    // "_" is in no host name of the DNS, but in many of a container network
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !host.split('.').all(|label| !label.is_empty() && label.bytes().all(legal)) {
        return None;
    }
    if !port.is_empty() {
        let digits = port.strip_prefix(':')?;
        let number = digits.parse::<u16>().ok().filter(|number| *number > 0);
        number.filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_name_is_a_sequence_of_host_labels() {
        for good in ["b", "my-bucket", "a.b.c", "3com", "Legacy"] {
            assert_eq!(bucket(good.as_bytes()), Some(good));
        }
        let long = "a".repeat(64);
        for bad in ["", ".", "a..b", "-a", "a-", "a_b", "a/b", "a b", "a:1", "\u{e9}", &long] {
            assert_eq!(bucket(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_maybe_a_port() {
        for good in [
            "s3.amazonaws.com",
            "s3.cn-north-1.amazonaws.com.cn",
            "localhost:9000",
            "minio_1",
            "127.0.0.1:65535",
            "[::1]",
            "[2001:db8::1]:9000",
        ] {
            assert_eq!(endpoint(good.as_bytes()), Some(good));
        }
        for bad in [
            "",
            ":80",
            "http://a",
            "https://a/",
            "a/",
            "a/b",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:b",
            "a b",
            "a..b",
            ".a",
            "a?",
            "a@b",
            "[::1",
            "[x]",
            "::1",
            "[::1]x",
            "\u{e9}",
        ] {
            assert_eq!(endpoint(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_bucket_leads_the_endpoint_or_the_path() {
        use Addressing::{Path, Virtual};
        for (bucket, endpoint, addressing, host, lead) in [
            (Some("b"), None, Virtual, "b.s3.amazonaws.com", ""),
            (Some("b"), Some("h:1"), Virtual, "b.h:1", ""),
            (None, Some("h:1"), Virtual, "h:1", ""),
            (None, None, Virtual, "", ""),
            (Some("b"), None, Path, "s3.amazonaws.com", "/b"),
            (Some("b"), Some("h:1"), Path, "h:1", "/b"),
            (None, Some("h:1"), Path, "h:1", ""),
        ] {
            let (hosts, leads) = address(bucket, endpoint, addressing);
            assert_eq!(hosts.map_or(String::new(), |texts| texts.concat()), host);
            assert_eq!(leads.map_or(String::new(), |texts| texts.concat()), lead);
        }
    }
}
