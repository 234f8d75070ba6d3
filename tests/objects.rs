//! Whatever form `proxy_pass` takes, the request is signed and names exactly the object asked for.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use support::{Credentials, Nginx, Verifier};

/// A way to write `proxy_pass`, and what it does to a key.
struct Form {
    /// The location, which is entered by its prefix.
    prefix: &'static str,
    conf: &'static str,
    /// What stands before the key upstream.
    upstream: &'static str,
    /// What stands behind the key, and what behind the key upstream.
    suffix: &'static str,
    upstream_suffix: &'static str,
    /// nginx passes its own normalised URI, in which double slashes and dot segments are gone.
    normalizes: bool,
    /// The client's query goes along.
    query: bool,
    /// A regular expression has to match the key: `.` matches no line feed.
    regex: bool,
}

const BASE: Form = Form {
    prefix: "/",
    conf: "",
    upstream: "/",
    suffix: "",
    upstream_suffix: "",
    normalizes: false,
    query: true,
    regex: false,
};

const FORMS: &[Form] = &[
    Form {
        prefix: "/plain/",
        conf: "location /plain/ { proxy_pass http://{v}; }",
        upstream: "/plain/",
        ..BASE
    },
    Form {
        prefix: "/root/",
        conf: "location /root/ { proxy_pass http://{v}/; }",
        normalizes: true,
        ..BASE
    },
    Form {
        prefix: "/uri/",
        conf: "location /uri/ { proxy_pass http://{v}/some/prefix/; }",
        upstream: "/some/prefix/",
        normalizes: true,
        ..BASE
    },
    Form {
        prefix: "/odd/",
        conf: "location /odd { proxy_pass http://{v}/x%20y; }",
        upstream: "/x y/",
        normalizes: true,
        ..BASE
    },
    Form {
        prefix: "/named/",
        conf: "location /named/ { proxy_pass http://up; }",
        upstream: "/named/",
        ..BASE
    },
    Form {
        prefix: "/rewrite/",
        conf: "location /rewrite/ { rewrite ^/rewrite/(.*)$ /$1 break; proxy_pass http://{v}; }",
        normalizes: true,
        regex: true,
        ..BASE
    },
    // the C module's README
    Form {
        prefix: "/myfiles/",
        conf: "location /myfiles { rewrite /myfiles/(.*) /$1 break; proxy_pass http://up/$1; }",
        normalizes: true,
        regex: true,
        query: false,
        ..BASE
    },
    Form {
        prefix: "/captured/",
        conf: "location ~ ^/captured/(.*)$ { proxy_pass http://up/files/$1$is_args$args; }",
        upstream: "/files/",
        normalizes: true,
        regex: true,
        ..BASE
    },
    Form {
        prefix: "/part-",
        conf: "location ~ ^/part-(.*)$ { proxy_pass http://up/$1; }",
        normalizes: true,
        regex: true,
        query: false,
        ..BASE
    },
    Form {
        prefix: "/download/",
        conf: "location ~ ^/download/(.*)/as-file$ { proxy_pass http://up/pub/$1; }",
        upstream: "/pub/",
        suffix: "/as-file",
        normalizes: true,
        regex: true,
        query: false,
        ..BASE
    },
    Form {
        prefix: "/index/",
        conf: "location /index/ { proxy_pass http://up${uri}index.html$is_args$args; }",
        upstream: "/index/",
        upstream_suffix: "index.html",
        normalizes: true,
        ..BASE
    },
    Form {
        prefix: "/variable/",
        conf: "location /variable/ { set $backend up; proxy_pass http://$backend; }",
        upstream: "/variable/",
        ..BASE
    },
    Form {
        prefix: "/uri-variable/",
        conf: "location /uri-variable/ { proxy_pass http://up$uri$is_args$args; }",
        upstream: "/uri-variable/",
        normalizes: true,
        ..BASE
    },
    Form {
        prefix: "/request-uri/",
        conf: "location /request-uri/ { proxy_pass http://up$request_uri; }",
        upstream: "/request-uri/",
        ..BASE
    },
    Form {
        prefix: "/aws-uri/",
        conf: "location /aws-uri/ { proxy_pass http://up$aws_uri; }",
        upstream: "/aws-uri/",
        ..BASE
    },
    Form {
        prefix: "/if/",
        conf: "location /if/ { if ($request_uri ~ \"^/if/(?<k>[^?]*)\") { proxy_pass http://up/$k$is_args$args; } }",
        ..BASE
    },
    Form {
        prefix: "/try/",
        conf: "location /try/ { try_files /nothing/at/all @s3; }",
        upstream: "/try/",
        ..BASE
    },
    Form {
        prefix: "/missing/",
        conf: "location /missing/ { error_page 404 = @s3; }",
        upstream: "/missing/",
        ..BASE
    },
    Form {
        prefix: "/keepalive/",
        conf: "location /keepalive/ { proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://up; }",
        upstream: "/keepalive/",
        ..BASE
    },
    Form {
        prefix: "/cached/",
        conf: "location /cached/ { proxy_cache cache; proxy_pass http://up; }",
        upstream: "/cached/",
        ..BASE
    },
    Form {
        prefix: "/sliced/",
        conf: "location /sliced/ { slice 1m; proxy_set_header Range $slice_range; proxy_cache cache; proxy_cache_key $uri$is_args$args$slice_range; proxy_pass http://up; }",
        upstream: "/sliced/",
        ..BASE
    },
];

fn configuration(verifier: &Verifier) -> String {
    let locations: String = FORMS.iter().map(|form| format!("{}\n", form.conf)).collect();
    let locations = locations.replace("{v}", &verifier.addr().to_string());
    format!(
        "{keys}
        aws_s3_bucket bucket;
        proxy_cache_path {{prefix}}/cache keys_zone=cache:1m;
        upstream up {{ server {addr}; keepalive 4; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            {locations}
            location @s3 {{ proxy_pass http://up; }}
        }}",
        keys = support::directives(),
        addr = verifier.addr(),
    )
}

/// Bytes of keys: what breaks signers more often than the rest.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => b'a'..=b'c',
        4 => prop::sample::select(b" !\"#$&'()*+,-.:;<=>?@[\\]^_`{|}~%/".to_vec()),
        2 => prop::sample::select(b"%25%41%2F%3F?/".to_vec()),
        1 => 1u8..=255,
    ]
}

/// A key, and for each of its bytes whether the client escapes it where it need not.
fn key() -> impl Strategy<Value = Vec<(u8, bool)>> {
    vec((byte(), prop::bool::weighted(0.3)), 1..24)
}

fn query() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
    let text = "[a-c +%&=/?~\u{e9}.-]{0,4}";
    vec((text, prop::option::of(text)), 0..4)
}

/// The key as a client may send it: bytes that a request line cannot hold are always escaped.
fn sent(key: &[(u8, bool)]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (byte, escape) in key {
        let must = *byte <= b' ' || *byte == 0x7f || matches!(byte, b'%' | b'?' | b'#');
        if must || *escape {
            wire.extend(format!("%{byte:02x}").bytes());
        } else {
            wire.push(*byte);
        }
    }
    wire
}

fn fits(form: &Form, key: &[u8]) -> bool {
    let path = [form.prefix.as_bytes(), key, form.suffix.as_bytes()].concat();
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    let mut plain = true;
    while let Some(segment) = segments.next() {
        // an empty last segment is a slash at the end
        plain &=
            !matches!(segment, b"." | b"..") && (!segment.is_empty() || segments.peek().is_none());
    }
    // nginx itself refuses to go above the root, and "?" ends no key
    let dots = path.windows(2).any(|pair| pair == b"..");
    let path = if form.normalizes { plain } else { plain || !dots };
    path && !(form.regex && key.contains(&b'\n'))
}

fn sorted(mut pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.sort();
    pairs
}

#[test]
fn every_form_names_the_object_that_is_asked_for() {
    let verifier = Verifier::start(Credentials::default());
    let nginx = Nginx::builder().log_level("notice").http(&configuration(&verifier)).start();
    let cases = std::env::var("PROPTEST_CASES").map_or(150, |cases| cases.parse().unwrap());
    let mut runner = TestRunner::deterministic();
    let strategy = (key(), query(), any::<bool>());
    for form in FORMS {
        let mut tried = 0;
        while tried < cases {
            let (key, query, head) = strategy.new_tree(&mut runner).unwrap().current();
            let bytes: Vec<u8> = key.iter().map(|(byte, _)| *byte).collect();
            if !fits(form, &bytes) {
                continue;
            }
            tried += 1;
            let encode = |text: &str| support::encode(text.as_bytes());
            let parts: Vec<String> = query
                .iter()
                .map(|(name, value)| match value {
                    Some(value) => format!("{}={}", encode(name), encode(value)),
                    None => encode(name),
                })
                .collect();
            let mut target = [form.prefix.as_bytes(), &sent(&key), form.suffix.as_bytes()].concat();
            let mark =
                if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) };
            target.extend(mark.bytes());

            let method = if head { "HEAD" } else { "GET" };
            let message = support::http::message(method, &target, &[], b"");
            let response = support::request(nginx.addr(), message);
            let shown = format!("{} by {}", String::from_utf8_lossy(&target), form.conf);
            let received = verifier.take();
            assert_eq!(response.status, 200, "{shown}\n{received:?}\n{}", response.text());
            let [received] = &received[..] else {
                panic!("{} requests for {shown}", received.len());
            };
            assert_eq!(received.verdict, Ok(()), "{shown}");
            let expected =
                [form.upstream.as_bytes(), &bytes, form.upstream_suffix.as_bytes()].concat();
            assert_eq!(
                String::from_utf8_lossy(&received.path_decoded),
                String::from_utf8_lossy(&expected),
                "{shown}"
            );
            assert_eq!(received.path_decoded, expected, "{shown}");
            let pairs = query
                .iter()
                .filter(|(name, value)| !name.is_empty() || value.is_some())
                .map(|(name, value)| {
                    (name.clone().into_bytes(), value.clone().unwrap_or_default().into_bytes())
                })
                .collect();
            let pairs = if form.query { sorted(pairs) } else { vec![] };
            assert_eq!(sorted(received.query_decoded.clone()), pairs, "{shown}");
        }
    }
}
