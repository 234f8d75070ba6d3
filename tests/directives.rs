//! What `nginx -t` says, and what inherits.

mod support;

use support::{Credentials, Nginx, Verifier};

const DAY: &str = "20150830";
const KEY: &str = "k4EntTNoEN22pdavRF/KyeNx+e1BjtOGsCKu2CkBvnU=";

/// Runs `nginx -t` and returns the lines that it wrote above the level `notice`, without their
/// times.
fn test(http: &str) -> (bool, Vec<String>) {
    let (good, stderr) = Nginx::builder().http(http).test();
    let lines = stderr
        .lines()
        .filter(|line| {
            ["[emerg]", "[alert]", "[crit]", "[error]", "[warn]"].iter().any(|l| line.contains(l))
        })
        .map(|line| line.split_once("nginx: ").map_or(line, |(_, rest)| rest).to_owned())
        .collect();
    (good, lines)
}

fn refused(http: &str) -> String {
    let (good, mut lines) = test(http);
    assert!(!good && lines.len() == 1, "{http}: {lines:?}");
    assert!(!lines[0].contains(KEY));
    lines.remove(0)
}

fn accepted(http: &str) {
    let (good, lines) = test(http);
    assert!(good && lines.is_empty(), "{http}: {lines:?}");
}

/// Today's directives around those of `server`.
fn keyed(server: &str) -> String {
    format!("{} server {{ listen 127.0.0.1:{{port}}; {server} }}", support::directives())
}

#[test]
fn bad_values() {
    let long = "a".repeat(64);
    for (directive, bad, expected) in [
        (
            "aws_access_key",
            &["''", "a/b", "a,b", "a=b", "'a b'", "\"a\tb\""][..],
            "expected an access key id without \"/\", \",\", \"=\" and spaces",
        ),
        (
            "aws_key_scope",
            &[
                "''",
                "20150830",
                "20150830/us-east-1/s3",
                "20150830/us-east-1/s3/aws4",
                "20150830/us-east-1//aws4_request",
                "20150830//s3/aws4_request",
                "/us-east-1/s3/aws4_request",
                "20150230/us-east-1/s3/aws4_request",
                "20151301/us-east-1/s3/aws4_request",
                "2015083/us-east-1/s3/aws4_request",
                "20150830/us-east-1/s3/aws4_request/",
                "20150830/us-east-1/s3/aws4_request/x",
                "'20150830/us east/s3/aws4_request'",
                "2015-08-30/us-east-1/s3/aws4_request",
            ],
            "expected \"yyyymmdd/region/service/aws4_request\": ",
        ),
        (
            "aws_s3_bucket",
            &["''", "a_b", "a/b", "-a", "a-", "a..b", ".a", "a:1", "http://a", &long],
            "expected a bucket name that can lead a host name",
        ),
        (
            "aws_endpoint",
            &[
                "''", "http://a", "a/", "a/b", ":80", "a:", "a:0", "a:70000", "a:b", "'a b'",
                "a?b", "u@a",
            ],
            "expected \"host\" or \"host:port\", without a scheme and a path",
        ),
        ("aws_sign", &["''", "yes", "1", "true", "on,off"], "it must be \"on\" or \"off\""),
    ] {
        for bad in bad {
            let line = refused(&format!("{directive} {bad};"));
            let shown = bad.trim_matches(['\'', '"']);
            let start = format!(
                "[emerg] invalid value \"{shown}\" in \"{directive}\" directive, {expected}"
            );
            assert!(line.starts_with(&start), "{line}");
            assert!(
                line.ends_with(|c: char| c.is_ascii_digit()) && line.contains("nginx.conf:"),
                "{line}"
            );
        }
    }
    for bad in [
        "''",
        "abc",
        "L4vR",
        &KEY[1..],
        &format!("{KEY}AAAA"),
        "your_signing_key",
        &KEY.replace('+', "-"),
    ] {
        let line = refused(&format!("aws_signing_key {bad};"));
        let start = "[emerg] invalid value in \"aws_signing_key\" directive, expected 32 bytes in base64: it is not ";
        assert!(line.starts_with(start), "{line}");
        assert!(bad.len() < 5 || !line.contains(bad));
    }
}

#[test]
fn good_values() {
    for directive in [
        "aws_access_key AKIDEXAMPLE;",
        "aws_access_key minio-user_1.x+y@z;",
        "aws_s3_bucket my.bucket-1;",
        "aws_s3_bucket LegacyBucket;",
        "aws_endpoint localhost:9000;",
        "aws_endpoint s3.cn-north-1.amazonaws.com.cn;",
        "aws_endpoint [::1]:9000;",
        "aws_endpoint 10.0.0.1;",
        "aws_sign off;",
        "aws_sign OFF;",
        &format!("aws_signing_key {KEY};"),
        &format!("aws_signing_key {};", KEY.trim_end_matches('=')),
        &format!("aws_key_scope {}/us-east-1/s3/aws4_request;", support::today()),
    ] {
        accepted(&format!("{directive} server {{ {directive} location / {{ {directive} }} }}"));
    }
    for sign in ["aws_sign;", "aws_sign on;", "aws_sign On;"] {
        accepted(&keyed(&format!("location / {{ {sign} proxy_pass http://127.0.0.1; }}")));
    }
}

#[test]
fn contexts_and_counts() {
    for (name, value) in [
        ("aws_access_key", "a"),
        ("aws_key_scope", &*format!("{}/r/s3/aws4_request", support::today())),
        ("aws_signing_key", KEY),
        ("aws_s3_bucket", "b"),
        ("aws_endpoint", "e"),
        ("aws_s3_addressing", "path"),
        ("aws_sign", "off"),
    ] {
        let duplicate = refused(&format!("{name} {value}; {name} {value};"));
        assert!(
            duplicate.starts_with(&format!("[emerg] \"{name}\" directive is duplicate in ")),
            "{duplicate}"
        );
        let duplicate =
            refused(&format!("server {{ location / {{ {name} {value}; {name} {value}; }} }}"));
        assert!(duplicate.contains("is duplicate"));
        let many = refused(&format!("{name} {value} x y;"));
        assert!(
            many.contains(&format!("invalid number of arguments in \"{name}\" directive")),
            "{many}"
        );
        if name != "aws_sign" {
            let none = refused(&format!("{name};"));
            assert!(none.contains("invalid number of arguments"), "{none}");
            let within =
                refused(&keyed(&format!("location / {{ if ($args) {{ {name} {value}; }} }}")));
            assert!(within.contains("directive is not allowed here"), "{within}");
        }
        let limit =
            refused(&keyed(&format!("location / {{ limit_except GET {{ {name} {value}; }} }}")));
        assert!(limit.contains("directive is not allowed here"), "{limit}");
        let upstream = refused(&format!("upstream u {{ {name} {value}; server 127.0.0.1; }}"));
        assert!(upstream.contains("directive is not allowed here"), "{upstream}");
    }
    let (good, stderr) = Nginx::builder().main("aws_sign;").http("").test();
    assert!(!good && stderr.contains("\"aws_sign\" directive is not allowed here"), "{stderr}");
    accepted(&keyed("location / { if ($args) { aws_sign; } proxy_pass http://127.0.0.1; }"));
    let server_if = refused(&keyed("if ($args) { aws_sign; }"));
    assert!(server_if.contains("not allowed here"), "{server_if}");
}

#[test]
fn missing_partners() {
    let today = support::today();
    let all = [
        ("aws_access_key", "aws_access_key a;".to_owned()),
        ("aws_key_scope", format!("aws_key_scope {today}/us-east-1/s3/aws4_request;")),
        ("aws_signing_key", format!("aws_signing_key {KEY};")),
    ];
    for (missing, _) in &all {
        let rest: String =
            all.iter().filter(|(name, _)| name != missing).map(|(_, text)| &text[..]).collect();
        for conf in [
            format!("server {{ location / {{ {rest} aws_sign; proxy_pass http://127.0.0.1; }} }}"),
            format!("{rest} aws_sign; server {{ location / {{ proxy_pass http://127.0.0.1; }} }}"),
            format!(
                "{rest} server {{ aws_sign; location / {{ location /a {{ proxy_pass http://127.0.0.1; }} }} }}"
            ),
            format!(
                "{rest} server {{ location / {{ proxy_pass http://127.0.0.1; if ($args) {{ aws_sign; }} }} }}"
            ),
            format!("{rest} server {{ location / {{ aws_sign; }} }}"),
        ] {
            let line = refused(&conf);
            let start =
                format!("[emerg] no \"{missing}\" is defined for the \"aws_sign\" directive in ");
            assert!(line.starts_with(&start) && line.contains("nginx.conf:"), "{line}");
        }
        // nothing is signed there
        accepted(&format!(
            "{rest} server {{ aws_sign off; location / {{ proxy_pass http://127.0.0.1; }} }}"
        ));
    }
    // parts that come from several levels
    accepted(&format!(
        "{} server {{ {} location / {{ {} aws_sign; proxy_pass http://127.0.0.1; }} }}",
        all[0].1, all[1].1, all[2].1
    ));
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let warned = |conf: &str, warning: &str| {
        let (good, lines) = test(conf);
        assert!(good && lines.len() == 1 && lines[0].starts_with("[warn]"), "{conf}: {lines:?}");
        assert!(lines[0].contains(warning) && lines[0].contains("nginx.conf:"), "{}", lines[0]);
    };
    let no_effect = "\"aws_sign\" directive has no effect in a location without \"proxy_pass\" in ";
    warned(&keyed("location / { aws_sign; }"), no_effect);
    warned(&keyed("location / { aws_sign; root /tmp; }"), no_effect);
    let refused = "\"aws_sign\" directive works with \"proxy_pass\" only, requests are refused in ";
    warned(&keyed("location / { aws_sign; empty_gif; }"), refused);
    warned(&keyed("location / { aws_sign; fastcgi_pass 127.0.0.1:9; }"), refused);
    accepted("server { aws_sign; location / { empty_gif; } }");
    accepted(&keyed(
        "aws_sign; location / { empty_gif; } location /a { fastcgi_pass 127.0.0.1:9; }",
    ));
    for fine in [
        "aws_sign; location / { }",
        "location / { aws_sign off; }",
        "location / { aws_sign; location /a { proxy_pass http://127.0.0.1; } }",
        "location / { aws_sign; proxy_pass http://127.0.0.1; }",
        "location / { aws_sign; if ($args) { proxy_pass http://127.0.0.1; } }",
        "location / { aws_sign; limit_except GET { proxy_pass http://127.0.0.1; } }",
    ] {
        accepted(&keyed(fine));
    }
    let stale = format!("aws_key_scope {DAY}/us-east-1/s3/aws4_request;");
    warned(
        &format!(
            "aws_access_key a; {stale} aws_signing_key {KEY}; server {{ location / {{ aws_sign; proxy_pass http://127.0.0.1; }} }}"
        ),
        &format!(
            "the signing key of \"aws_key_scope\" is for {DAY}, but today is {} (UTC)",
            support::today()
        ),
    );
}

#[test]
fn directives_inherit_each_by_itself() {
    let s3 = Verifier::start(Credentials::default());
    let eu = Credentials { region: "eu-west-1".into(), ..Credentials::default() };
    let other = Verifier::start(eu);
    let today = support::today();
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_sign;
        aws_s3_bucket outer;
        server {{
            listen 127.0.0.1:{{port}};
            location / {{ proxy_pass http://{s3}; }}
            location /bucket/ {{ aws_s3_bucket inner; proxy_pass http://{s3}; }}
            location /endpoint/ {{
                aws_endpoint s3.test:8000;
                proxy_pass http://{s3};
                location /endpoint/bucket/ {{ aws_s3_bucket nested; proxy_pass http://{s3}; }}
            }}
            location /region/ {{
                aws_key_scope {today}/eu-west-1/s3/aws4_request;
                aws_signing_key {eu};
                proxy_pass http://{other};
                location /region/back/ {{
                    aws_key_scope {today}/us-east-1/s3/aws4_request;
                    aws_signing_key {us};
                    proxy_pass http://{s3};
                }}
            }}
            location /off/ {{ aws_sign off; proxy_pass http://{s3}; location /off/on/ {{ aws_sign; proxy_pass http://{s3}; }} }}
        }}
        server {{ listen 127.0.0.1:{{port}}; server_name off.test; aws_sign off; location / {{ proxy_pass http://{s3}; }} }}",
        keys = support::directives(),
        s3 = s3.addr(),
        other = other.addr(),
        eu = support::signing_key(&today, "eu-west-1", "s3"),
        us = support::signing_key(&today, "us-east-1", "s3"),
    ));
    for (target, host) in [
        ("/x", "outer.s3.amazonaws.com"),
        ("/bucket/x", "inner.s3.amazonaws.com"),
        ("/endpoint/x", "outer.s3.test:8000"),
        ("/endpoint/bucket/x", "nested.s3.test:8000"),
        ("/region/back/x", "outer.s3.amazonaws.com"),
        ("/off/on/x", "outer.s3.amazonaws.com"),
    ] {
        assert_eq!(support::get(nginx.addr(), target).status, 200, "{target}");
        assert_eq!(s3.take()[0].host, host);
    }
    assert_eq!(support::get(nginx.addr(), "/region/x").status, 200);
    assert_eq!(support::get(nginx.addr(), "/off/x").status, 403);
    assert_eq!(support::get_with(nginx.addr(), "/x", &[("Host", "off.test")]).status, 403);
    assert!(s3.take().iter().all(|received| received.header("Authorization").is_none()));
}

#[test]
fn the_host_is_that_of_bucket_endpoint_or_nginx() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys}
        upstream named.test {{ server {s3}; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            location /none/ {{ proxy_pass http://named.test; }}
            location /set/ {{ proxy_set_header Host b.s3.test; proxy_pass http://named.test; }}
            location /client/ {{ proxy_set_header Host $host; proxy_pass http://named.test; }}
            location /endpoint/ {{ aws_endpoint localhost:9000; proxy_pass http://named.test; }}
            location /empty/ {{ proxy_set_header Host ''; proxy_pass http://named.test; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    for (target, host) in [
        ("/none/x", "named.test"),
        ("/set/x", "b.s3.test"),
        ("/client/x", "client.test"),
        ("/endpoint/x", "localhost:9000"),
    ] {
        let response = support::get_with(nginx.addr(), target, &[("Host", "client.test")]);
        assert_eq!(response.status, 200, "{target}");
        assert_eq!(s3.take()[0].host, host);
    }
    assert_eq!(support::get(nginx.addr(), "/empty/x").status, 500);
    assert!(s3.take().is_empty());
    assert!(nginx.stop().contains("the upstream request has no single \"Host\" header"));
}

#[test]
fn a_key_of_another_day_signs_and_is_complained_of_once_a_minute() {
    let credentials = Credentials { scope_date: Some(DAY.into()), ..Credentials::default() };
    let s3 = Verifier::start(credentials);
    let nginx = Nginx::start(&format!(
        "{keys} aws_s3_bucket b;
        server {{ listen 127.0.0.1:{{port}}; location / {{ aws_sign; proxy_pass http://{}; }} }}",
        s3.addr(),
        keys = support::directives_for(DAY, "us-east-1", "s3"),
    ));
    for _ in 0..5 {
        assert_eq!(support::get(nginx.addr(), "/x").status, 200);
    }
    let log = nginx.stop();
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("[error]")).collect();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].contains(&format!("aws_sign: the signing key is for {DAY}, but today is "))
    );
}

#[test]
fn other_services_are_signed_their_way() {
    let api = Credentials { service: "execute-api".into(), ..Credentials::default() };
    let api = Verifier::start(api);
    let nginx = Nginx::start(&format!(
        "{keys} aws_endpoint api.test;
        server {{ listen 127.0.0.1:{{port}}; location / {{ aws_sign; proxy_pass http://{}; }} }}",
        api.addr(),
        keys = support::directives_for(&support::today(), "us-east-1", "execute-api"),
    ));
    for target in ["/", "/a%20b", "/a//b/./c/../d?x=y", "/%2525?a=%25", "/a+b", "/a%2fb%2F/c"] {
        let response = support::get(nginx.addr(), target);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
    }
}
