//! Drives the `sign` example as a user does.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

const KEY: &str = "k4EntTNoEN22pdavRF/KyeNx+e1BjtOGsCKu2CkBvnU=";
const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The module's own example, but for the URL.
const OWN: [&str; 6] = [
    "--scope",
    "20150830/us-east-1/service/aws4_request",
    "--access-key",
    "AKIDEXAMPLE",
    "--date",
    "20150830T123600Z",
];

/// AWS's S3 examples, but for the URL.
const S3: [&str; 6] = [
    "--scope",
    "20130524/us-east-1/s3/aws4_request",
    "--access-key",
    "AKIAIOSFODNN7EXAMPLE",
    "--date",
    "20130524T000000Z",
];

/// Variables with keys in them.
type Keys<'a> = &'a [(&'a str, &'a str)];

/// Keys, arguments, and a part of the error that they make.
type Case<'a> = (Keys<'a>, &'a [&'a [&'a str]], &'a str);

/// The example's executable: cargo builds it for `cargo test`, beside the directory of the tests.
fn executable() -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let sign = profile.join("examples").join(format!("sign{}", env::consts::EXE_SUFFIX));
    assert!(sign.exists(), "`cargo test --test` builds no examples: cargo build --example sign");
    sign
}

/// Runs the example with these variables for keys, and no others.
fn sign(keys: Keys<'_>, arguments: &[&[&str]]) -> Output {
    let output = Command::new(executable())
        .env_remove("AWS_SIGNING_KEY")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .envs(keys.iter().copied())
        .args(arguments.concat())
        .output()
        .unwrap();
    for (name, secret) in keys {
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(secret.is_empty() || !text.contains(secret), "{name} is shown: {text}");
        }
    }
    output
}

/// What a run that succeeds without a warning prints.
fn printed(keys: Keys<'_>, arguments: &[&[&str]]) -> String {
    let output = sign(keys, arguments);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn prints_all_stages_of_the_published_example() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let signature = "4ed4ec875ff02e55c7903339f4f24f8780b986a9cc9eff03f324d31da6a57690";
    let expected = format!(
        "--- canonical request\nGET\n/\n\nhost:example.s3.amazonaws.com\n\
         x-amz-content-sha256:{empty}\nx-amz-date:20150830T123600Z\n\n\
         host;x-amz-content-sha256;x-amz-date\n{empty}\n\
         --- string to sign\nAWS4-HMAC-SHA256\n20150830T123600Z\n\
         20150830/us-east-1/service/aws4_request\n\
         80abb64809f53bdefe9ea769af79d9f31e91ba40535669dd39c4a657f2cc7ed1\n\
         --- signature\n{signature}\n\
         --- authorization\nAWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}\n"
    );
    let url = "https://example.s3.amazonaws.com/";
    for keys in [
        &[("AWS_SIGNING_KEY", KEY)][..],
        &[("AWS_SECRET_ACCESS_KEY", SUITE_SECRET)],
        &[("AWS_SIGNING_KEY", ""), ("AWS_SECRET_ACCESS_KEY", SUITE_SECRET)],
        &[("AWS_SIGNING_KEY", KEY), ("AWS_SECRET_ACCESS_KEY", "another one")],
    ] {
        assert_eq!(printed(keys, &[&OWN, &[url]]), expected);
    }
    // options may follow the URL; the default port and a fragment are not part of the request
    for url in ["https://example.s3.amazonaws.com:443", "http://example.s3.amazonaws.com:80/#top"] {
        assert_eq!(printed(&[("AWS_SIGNING_KEY", KEY)], &[&[url], &OWN]), expected);
    }
}

#[test]
fn signs_the_s3_examples() {
    let body = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(body.path(), "Welcome to Amazon S3.").unwrap();
    let put: [&str; 9] = [
        "--method",
        "PUT",
        "-H",
        "Date: Fri, 24 May 2013 00:00:00 GMT",
        "-H",
        "x-amz-storage-class:REDUCED_REDUNDANCY",
        "--payload",
        body.path().to_str().unwrap(),
        "http://examplebucket.s3.amazonaws.com/test$file.text",
    ];
    for (arguments, signature) in [
        (
            &["-H", "Range: bytes=0-9", "http://examplebucket.s3.amazonaws.com/test.txt"][..],
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (&put, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        (
            &["http://examplebucket.s3.amazonaws.com?lifecycle"],
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            &["http://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2"],
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
        (
            &["-H", "host: examplebucket.s3.amazonaws.com", "http://localhost:9000/?lifecycle="],
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
    ] {
        let text = printed(&[("AWS_SECRET_ACCESS_KEY", S3_SECRET)], &[&S3, arguments]);
        assert!(text.ends_with(&format!(", Signature={signature}\n")), "{text}");
    }
}

#[test]
fn paths_are_those_of_the_service() {
    for (options, url, target) in [
        (&S3, "http://[::1]:9000/a//b/../c%2fd ä?b&a=1+2", "/a//b/../c/d%20%C3%A4\na=1%202&b="),
        (&OWN, "http://[::1]:9000/a//b/../c d?b&a=1+2", "/a/c%2520d\na=1%202&b="),
    ] {
        let text = String::from_utf8(sign(&[], &[options, &[url]]).stdout).unwrap();
        let start = format!("--- canonical request\nGET\n{target}\nhost:[::1]:9000\n");
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn without_a_key_there_is_no_signature() {
    let output = sign(&[], &[&OWN, &["http://b/"]]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("--- canonical request\nGET\n") && text.contains("--- string to sign\n"));
    assert!(!text.contains("--- signature") && !text.contains("--- authorization"));
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("sign: no signature: "));
}

#[test]
fn without_a_date_it_is_now() {
    let day = || {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        ngx_http_aws_auth_module::sigv4::AmzDate::from_unix(now as i64).unwrap().day().to_string()
    };
    let before = day();
    let output = sign(&[("AWS_SIGNING_KEY", KEY)], &[&OWN[..4], &["http://b/"]]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("x-amz-date:")).unwrap();
    assert!([before, day()].contains(&line[11..19].to_owned()), "{line}");
    // the key of the example is good for one day of 2015
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.starts_with("sign: warning: ") && warning.contains("the day of the scope"));
}

#[test]
fn help_is_no_error() {
    let text = printed(&[("AWS_SIGNING_KEY", KEY)], &[&["--scope", "--help"]]);
    assert!(text.starts_with("usage: sign "));
}

#[test]
fn errors_are_one_line_and_status_2() {
    let key = [("AWS_SIGNING_KEY", KEY)];
    let bad: [Keys<'_>; 3] = [
        &[("AWS_SIGNING_KEY", "your_signing_key")],
        &[("AWS_SIGNING_KEY", "c2hvcnQgc2VjcmV0")],
        &[("AWS_SIGNING_KEY", "your_signing_key"), ("AWS_SECRET_ACCESS_KEY", SUITE_SECRET)],
    ];
    let url: &[&str] = &["http://b/"];
    let cases: [Case<'_>; 20] = [
        (bad[0], &[&OWN, url], "AWS_SIGNING_KEY: it is not base64"),
        (bad[1], &[&OWN, url], "AWS_SIGNING_KEY: it is not 32 bytes long"),
        (bad[2], &[&OWN, url], "AWS_SIGNING_KEY: it is not base64"),
        (&key, &[&OWN], "a URL is missing"),
        (&key, &[&OWN[2..], url], "--scope is missing"),
        (&key, &[&OWN[..2], url], "--access-key is missing"),
        (&key, &[&OWN, url, url], "http://b/: there is a URL already"),
        (&key, &[&OWN, url, &["--scope"]], "--scope needs a value"),
        (&key, &[&OWN, url, &["--scope", "20150230/a/b/aws4_request"]], "the date is not a day"),
        (&key, &[&OWN, url, &["--access-key", "a/b"]], "--access-key a/b: "),
        (&key, &[&OWN, url, &["--date", "2015-08-30"]], "--date 2015-08-30: "),
        (&key, &[&OWN, url, &["--method", "get"]], "--method get: "),
        (&key, &[&OWN, url, &["-H", "x-amz\nmeta"]], "there is no colon"),
        (&key, &[&OWN, url, &["-H", "a b: c"]], "-H a b: not a header"),
        (&key, &[&OWN, url, &["-H", "a: b\nc: d"]], "-H a: not a header"),
        (&key, &[&OWN, url, &["-H", "X-Amz-Date: 1"]], "give it as --date"),
        (&key, &[&OWN, url, &["--payload", "/no/such/file"]], "/no/such/file: "),
        (&key, &[&OWN, url, &["--secret", "x"]], "--secret: no such option"),
        (&key, &[&OWN, &["b.s3.amazonaws.com/"]], "it does not begin with http:// or https://"),
        (&key, &[&OWN, &["http://user@b/"]], "the host is missing or has an illegal character"),
    ];
    for (keys, arguments, message) in cases {
        let output = sign(keys, arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(error.starts_with("sign: ") && error.contains(message), "{arguments:?}: {error}");
        assert_eq!((error.lines().count(), &output.stdout[..]), (1, &b""[..]), "{error}");
    }
}
