//! Generated requests: our signatures against those of the AWS SDK, and what the encoders promise.

#[path = "oracle/properties.rs"]
mod properties;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ngx_http_aws_auth_module::sigv4::uri::{self, encode_path, encode_query, normalize_path};
use ngx_http_aws_auth_module::sigv4::{
    AmzDate, CanonicalRequest, Day, Headers, PayloadHash, Scope, Signature, SigningKey,
};
use percent_encoding::percent_decode;
use properties::{
    AUTHENTICATING, Identity, Request, canonical_query, encoded, normalized, signatures, written,
};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// No files with regressions in the tree: what fails once becomes a test with a name.
fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// A byte as `%XX`, in either case.
fn escape() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), any::<bool>()).prop_map(|(byte, upper)| {
        if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }.into_bytes()
    })
}

/// Pieces of which paths and queries are made, the awkward ones more often than chance has them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const AWKWARD: &str = "/ // /./ /../ /.. /. . .. ... % %% %2 %zz %25 %2F %2e%2E + %2B %20 & = \
        == && ? # X-Amz-Meta= &Signature &a=";
    let awkward: Vec<&[u8]> = AWKWARD.split(' ').map(str::as_bytes).collect();
    prop_oneof![
        4 => prop::sample::select(awkward).prop_map(<[u8]>::to_vec),
        4 => "[a-zA-Z0-9._~-]{1,4}".prop_map(String::into_bytes),
        2 => "[ -~]{1,3}".prop_map(String::into_bytes),
        2 => "\\PC{1,3}".prop_map(String::into_bytes),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        2 => escape(),
    ]
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

fn raw_path() -> impl Strategy<Value = Vec<u8>> {
    pieces().prop_map(|path| [b"/", &path[..]].concat())
}

/// A query with names that come twice, and some that authenticate.
fn raw_query() -> impl Strategy<Value = Vec<u8>> {
    let authenticating = prop::sample::select(AUTHENTICATING.to_vec());
    let name = prop_oneof![
        6 => "(a|A|b|%61|a-|\\.|~|é|%C3%A9|)".prop_map(String::into_bytes),
        1 => (authenticating, 0..3).prop_map(|(name, case)| match case {
            0 => name.as_bytes().to_vec(),
            1 => name.to_ascii_lowercase().into_bytes(),
            _ => name.replacen('S', "%53", 1).to_ascii_uppercase().into_bytes(),
        }),
        1 => piece(),
    ];
    let value = prop_oneof![
        Just(Vec::new()),
        "=[ab ]{0,2}".prop_map(String::into_bytes),
        piece().prop_map(|piece| [b"=", &piece[..]].concat()),
    ];
    let parameter = (name, value).prop_map(|(name, value)| [name, value].concat());
    let parameters = prop::collection::vec(parameter, 0..12);
    prop_oneof![3 => parameters.prop_map(|parameters| parameters.join(&b'&')), 1 => pieces()]
}

/// A query whose bytes, once decoded, are text: the SDK knows no other, and puts U+FFFD in the
/// place of what is not UTF-8.
fn text_query() -> impl Strategy<Value = Vec<u8>> {
    raw_query().prop_map(|raw| match percent_decode(&canonical_query(&raw)).decode_utf8() {
        Ok(_) => raw,
        Err(_) => raw
            .into_iter()
            .map(|byte| if byte == b'%' || !byte.is_ascii() { b'+' } else { byte })
            .collect(),
    })
}

/// Headers, their names few enough to come twice. White space around a value is spaces: the SDK
/// keeps a tab there, which a header field by its grammar (RFC 9110, 5.5) neither begins nor ends
/// with.
fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = "[xX]-[aA]mz-[mM]eta-[aAbB]{1,2}(_|-[0-9]{1,40})?";
    let value = ("[ \t!-~]{0,12}( {1,3}[ \\PC]{0,6})?", 0..3_usize, 0..3_usize).prop_map(
        |(value, before, after)| {
            let inner = value.trim_matches([' ', '\t']);
            format!("{:before$}{inner}{:after$}", "", "")
        },
    );
    prop::collection::vec((name, value), 0..=20)
}

fn request() -> impl Strategy<Value = Request> {
    let method = prop::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]);
    let host =
        prop::sample::select(vec!["b.s3.amazonaws.com", "localhost:9000", "[::1]:8080", "h"]);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let token = prop::option::of("[!-~]{1,60}");
    (any::<bool>(), method, host, raw_path(), text_query(), headers(), body, token).prop_map(
        |(s3, method, host, path, query, headers, body, token)| Request {
            s3,
            method,
            host,
            path,
            query,
            headers,
            body,
            token,
        },
    )
}

fn identity() -> impl Strategy<Value = Identity> {
    // the years that four digits can write
    let seconds = 0..=253_402_300_799_u64;
    ("[A-Z0-9]{16,20}", "[ -~]{1,80}", "[a-z]{2}-[a-z]{1,9}-[0-9]", "[a-z0-9-]{1,12}", seconds)
        .prop_map(|(access_key, secret, region, service, seconds)| Identity {
            access_key,
            secret,
            region,
            service,
            seconds,
        })
}

/// What a key makes of one fixed request: keys can be told apart by nothing else.
fn mark(key: &SigningKey) -> Signature {
    let scope = Scope::parse(b"20150830/us-east-1/s3/aws4_request").unwrap();
    let headers = Headers::new();
    let payload = PayloadHash::EMPTY;
    CanonicalRequest { method: b"GET", path: b"/", query: b"", headers: &headers, payload }
        .string_to_sign(AmzDate::from_unix(0).unwrap(), &scope)
        .sign(key)
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn signatures_are_those_of_the_sdk(request in request(), identity in identity()) {
        signatures(&request, &identity);
    }

    #[test]
    fn a_path_keeps_its_meaning(raw in raw_path()) {
        properties::path(&raw);
    }

    #[test]
    fn a_query_keeps_its_meaning(raw in raw_query()) {
        properties::query(&raw);
    }

    #[test]
    fn what_is_written_stands_behind_what_was(before in raw_path(), raw in raw_query()) {
        let room = uri::encoded_len(&before) + uri::query_len(&raw);
        let both = written(room, |out| {
            encode_path(&before, out);
            encode_query(&raw, out).unwrap();
        });
        prop_assert_eq!(both, [encoded(&before), canonical_query(&raw)].concat());
        let path = encoded(&before);
        let both = written(raw.len() + uri::normalized_len(&path), |out| {
            raw.iter().for_each(|byte| out.push(*byte));
            normalize_path(&path, out);
        });
        prop_assert_eq!(both, [raw, normalized(&path)].concat());
    }

    #[test]
    fn any_bytes_fit_into_the_room_that_is_asked_for(
        raw in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        // a buffer that is too small panics
        encoded(&raw);
        canonical_query(&raw);
        prop_assert!(normalized(&raw).starts_with(b"/"));
    }

    #[test]
    fn a_normalized_path_is_resolved(raw in raw_path()) {
        let path = normalized(&encoded(&raw));
        let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        prop_assert!(segments[0].is_empty());
        let last = segments.len() - 1;
        prop_assert!(segments[1..last].iter().all(|segment| !segment.is_empty()));
        prop_assert!(segments.iter().all(|segment| !matches!(*segment, b"." | b"..")));
    }

    #[test]
    fn what_is_read_is_what_is_written(
        text in prop_oneof![
            "[0-9]{8}(T[0-9]{6}Z)?",
            "(19|20)[0-9]{2}[01][0-9][0-3][0-9](T[0-2][0-9][0-6][0-9][0-6][0-9]Z)?",
            "20[0-9]{2}0[1-9][0-2][0-9]/[ -~]{1,4}/[a-z0-9=,]{1,3}/aws4_request",
        ].prop_map(String::into_bytes).boxed().prop_union(pieces().boxed()),
    ) {
        let text = &text[..];
        if let Ok(scope) = Scope::parse(text) {
            prop_assert_eq!(scope.as_str().as_bytes(), text);
            let parts = Scope::new(scope.day(), scope.region(), scope.service()).unwrap();
            prop_assert_eq!(parts, scope);
        }
        if let Some(day) = Day::parse(text) {
            prop_assert_eq!(day.to_string().into_bytes(), text);
        }
        if let Some(date) = AmzDate::parse(text) {
            prop_assert_eq!(date.to_string().into_bytes(), text);
            prop_assert_eq!(Some(date.day()), Day::parse(&text[..8]));
        }
        let _ = SigningKey::from_base64(text);
    }

    #[test]
    fn every_second_is_written_and_read(
        seconds in prop_oneof![any::<i64>(), 0..253_402_300_800_i64],
    ) {
        let date = AmzDate::from_unix(seconds);
        if (0..253_402_300_800).contains(&seconds) {
            prop_assert!(date.is_some());
        }
        if let Some(date) = date {
            prop_assert_eq!(AmzDate::parse(date.as_bytes()), Some(date));
        }
    }

    #[test]
    fn a_key_is_read_from_its_base64(bytes in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let text = BASE64_STANDARD.encode(bytes);
        let key = SigningKey::new(&bytes);
        prop_assert_eq!(mark(&SigningKey::from_base64(text.as_bytes()).unwrap()), mark(&key));
        prop_assert!(bytes == other || mark(&SigningKey::new(&other)) != mark(&key));
        for len in 0..text.len() - 1 {
            prop_assert!(SigningKey::from_base64(&text.as_bytes()[..len]).is_err());
        }
    }
}
