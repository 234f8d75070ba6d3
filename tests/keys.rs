//! Keys of several days, temporary keys, and secrets that give each day its key.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use support::{Credentials, Nginx, SECRET_KEY, Verifier};

/// The UTC day so many days from now.
fn day(offset: i64) -> String {
    let seconds = (support::unix(SystemTime::now()) + offset * 86_400) as u64;
    support::day(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// `aws_signing_key` with a scope of its own.
fn ring_key(date: &str, region: &str) -> String {
    let key = support::signing_key(date, region, "s3");
    format!("aws_signing_key {key} {date}/{region}/s3/aws4_request;\n")
}

fn ring(days: impl IntoIterator<Item = i64>) -> String {
    days.into_iter().map(|offset| ring_key(&day(offset), "us-east-1")).collect()
}

fn http(keys: &str, server: &str) -> String {
    format!(
        "aws_access_key AKIDEXAMPLE; aws_s3_bucket bucket; {keys}
        server {{ listen 127.0.0.1:{{port}}; aws_sign; {server} }}"
    )
}

/// Starts nginx with keys for everything, in front of `s3`.
fn start(s3: &Verifier, keys: &str) -> Nginx {
    Nginx::start(&http(keys, &format!("location / {{ proxy_pass http://{}; }}", s3.addr())))
}

/// Whether `nginx -t` likes the keys, and its warnings and errors.
fn test(keys: &str) -> (bool, String) {
    let (good, stderr) =
        Nginx::builder().http(&http(keys, "location / { proxy_pass http://127.0.0.1:9; }")).test();
    let lines = stderr.lines().filter(|line| line.contains("[emerg]") || line.contains("[warn]"));
    (good, lines.map(|line| format!("{line}\n")).collect())
}

fn refused(keys: &str, message: &str) {
    let (good, lines) = test(keys);
    assert!(!good && lines.lines().count() == 1, "{keys}: {lines}");
    assert!(lines.contains(message) && lines.contains("nginx.conf:"), "{message}: {lines}");
}

#[test]
fn the_key_of_today_is_chosen_from_a_ring() {
    let s3 = Verifier::start(Credentials::default());
    for keys in [
        ring([0]),
        ring([0, 1]),
        ring([3, -1, 0, 2, 1]),
        ring(-3..100),
        format!(
            "{}{}",
            support::directives().replace("aws_access_key AKIDEXAMPLE;", ""),
            ring([1, 2])
        ),
        format!("aws_key_scope 20150830/us-east-1/s3/aws4_request; {}", ring([1, 0])),
    ] {
        let nginx = start(&s3, &keys);
        for _ in 0..3 {
            assert_eq!(support::get(nginx.addr(), "/x").status, 200, "{keys}");
        }
    }
}

#[test]
fn rings_that_contradict_themselves_are_refused() {
    let (today, tomorrow) = (day(0), day(1));
    let scope = format!("aws_key_scope {today}/us-east-1/s3/aws4_request;");
    let single = format!("aws_signing_key {};", support::signing_key(&today, "us-east-1", "s3"));
    refused(
        &format!("{}{}", ring([0, 1]), ring([0])),
        &format!("\"aws_signing_key\" directive for {today} is duplicate in "),
    );
    refused(&format!("{scope}{single}{}", ring([0])), "is duplicate in ");
    refused(&format!("{scope}{single}{single}"), "\"aws_signing_key\" directive is duplicate in ");
    refused(
        &format!("{}{}", ring([0]), ring_key(&tomorrow, "eu-west-1")),
        &format!(
            "\"aws_signing_key\" directive has the scope \"{tomorrow}/eu-west-1/s3/aws4_request\" in "
        ),
    );
    let key = support::signing_key(&tomorrow, "us-east-1", "glacier");
    refused(
        &format!("{}aws_signing_key {key} {tomorrow}/us-east-1/glacier/aws4_request;", ring([0])),
        "expected the region and service of",
    );
    refused(
        &format!("aws_signing_key {key} 20260230/us-east-1/s3/aws4_request;"),
        "invalid value in \"aws_signing_key\" directive, expected \"yyyymmdd/region/service/aws4_request\": ",
    );
    let elsewhere = format!(
        "location / {{ aws_signing_key {key} {tomorrow}/r/s3/aws4_request; proxy_pass http://127.0.0.1:9; }}"
    );
    let (good, stderr) = Nginx::builder().http(&http(&ring([0, 1, 2]), &elsewhere)).test();
    assert!(good, "another level may have another region: {stderr}");
    // a key without a scope needs one
    refused(
        &format!("{single}{}", ring([1])),
        "no \"aws_key_scope\" is defined for the \"aws_sign\"",
    );
}

#[test]
fn rings_at_their_end_are_warned_of() {
    let today = day(0);
    for (days, warning) in [
        (vec![0, 1], None),
        (vec![-1, 0, 1, 2], None),
        (
            vec![-1, 0],
            Some(format!(
                "the last signing key is for today, {today} (UTC): requests fail from midnight on, in "
            )),
        ),
        (
            vec![0],
            Some(format!(
                "the last signing key is for today, {today} (UTC): requests fail from midnight on, in "
            )),
        ),
        (
            vec![-3, -2],
            Some(format!("the last signing key was for {}, today is {today} (UTC), in ", day(-2))),
        ),
        (
            vec![0, 1, 3],
            Some(format!("no signing key is for the days between {} and {}, in ", day(1), day(3))),
        ),
        (
            vec![1, 2],
            Some(format!("the first signing key is for {}, today is {today} (UTC), in ", day(1))),
        ),
    ] {
        let (good, lines) = test(&ring(days.iter().copied()));
        assert!(good);
        match warning {
            Some(warning) => {
                assert!(lines.contains("[warn]") && lines.contains(&warning), "{days:?}: {lines}");
                assert_eq!(lines.lines().count(), 1, "{lines}");
            }
            None => assert_eq!(lines, "", "{days:?}"),
        }
    }
}

#[test]
fn without_a_key_for_today_a_ring_refuses_and_a_single_key_signs() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = start(&s3, &ring([-2, -1, 1]));
    for _ in 0..4 {
        assert_eq!(support::get(nginx.addr(), "/x").status, 503);
    }
    assert!(s3.take().is_empty());
    let log = nginx.stop();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("[error]")).collect();
    let message = format!(
        "aws_sign: no signing key is for today, {} (UTC), there are keys for {}, {}, {}",
        day(0),
        day(-2),
        day(-1),
        day(1)
    );
    assert!(errors.len() == 1 && errors[0].contains(&message), "{errors:?}");

    let yesterday = Credentials { scope_date: Some(day(-1)), ..Credentials::default() };
    let s3 = Verifier::start(yesterday);
    let single = support::directives_for(&day(-1), "us-east-1", "s3");
    let nginx = start(&s3, &single.replace("aws_access_key AKIDEXAMPLE;", ""));
    assert_eq!(support::get(nginx.addr(), "/x").status, 200);
}

#[test]
fn a_ring_inherits_whole() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&http(
        &ring([0, 1]),
        &format!(
            "location / {{ proxy_pass http://{0}; }}
            location /own/ {{ {future} proxy_pass http://{0}; }}
            location /secret/ {{ aws_secret_key {SECRET_KEY}; aws_region us-east-1; proxy_pass http://{0}; }}
            location /secret/ring/ {{ {today} proxy_pass http://{0}; }}",
            s3.addr(),
            future = ring([1, 2]),
            today = ring([0, 3]),
        ),
    ));
    for (target, status) in
        [("/x", 200), ("/own/x", 503), ("/secret/x", 200), ("/secret/ring/x", 200)]
    {
        assert_eq!(support::get(nginx.addr(), target).status, status, "{target}");
    }
}

#[test]
fn a_session_token_is_signed_and_sent_with_its_keys() {
    let s3 = Verifier::start(Credentials::default());
    let long = "t/+=".repeat(512);
    let nginx = Nginx::builder()
        .http(&http(
            &format!("{} aws_session_token FQoGZXIvYXdzEXAMPLE==;", ring([0, 1])),
            &format!(
                "access_log {{prefix}}/access.log;
                location / {{ proxy_pass http://{0}; }}
                location /long/ {{ aws_session_token {long}; proxy_pass http://{0}; }}
                location /own/ {{ {ring} proxy_pass http://{0}; }}
                location /endpoint/ {{ aws_endpoint e.test; proxy_pass http://{0}; }}
                location /secret/ {{
                    aws_secret_key {SECRET_KEY}; aws_region us-east-1; aws_session_token s;
                    proxy_pass http://{0};
                }}",
                s3.addr(),
                ring = ring([0, 1]),
            ),
        ))
        .start();
    for (target, token) in [
        ("/x", Some("FQoGZXIvYXdzEXAMPLE==")),
        ("/long/x", Some(&*long)),
        ("/own/x", None),
        ("/endpoint/x", Some("FQoGZXIvYXdzEXAMPLE==")),
        ("/secret/x", Some("s")),
    ] {
        let hostile = [("X-Amz-Security-Token", "evil")];
        assert_eq!(support::get_with(nginx.addr(), target, &hostile).status, 200, "{target}");
        let received = s3.take();
        assert_eq!(received[0].header("X-Amz-Security-Token").as_deref(), token);
        let authorization = received[0].header("Authorization").unwrap();
        assert_eq!(authorization.contains(";x-amz-security-token,"), token.is_some());
    }
    let log = nginx.stop();
    assert!(log.contains("x-amz-security-token:(hidden)"));
    assert!(!log.contains("EXAMPLE==") && !log.contains(&long[..64]));

    for bad in ["''", "'a b'", "\"a\tb\"", "\u{e9}"] {
        refused(
            &format!("{} aws_session_token {bad};", ring([0, 1])),
            "invalid value in \"aws_session_token\" directive, expected a token without spaces in ",
        );
    }
}

#[test]
fn a_secret_gives_each_day_its_key() {
    let s3 = Verifier::start(Credentials::default());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    for (content, value) in [
        (None, SECRET_KEY.to_owned()),
        (Some(SECRET_KEY.to_owned()), format!("file:{}", file.display())),
        (Some(format!("{SECRET_KEY}\n")), format!("file:{}", file.display())),
        (Some(format!("{SECRET_KEY}\r\n")), format!("file:{}", file.display())),
    ] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let keys = format!("aws_secret_key {value}; aws_region us-east-1;");
        assert_eq!(test(&keys), (true, String::new()));
        let nginx = start(&s3, &keys);
        for _ in 0..3 {
            assert_eq!(support::get(nginx.addr(), "/x").status, 200);
        }
        assert!(!nginx.stop().contains(&SECRET_KEY[..20]));
    }
    let eu = Credentials {
        region: "eu-west-1".into(),
        service: "s3express".into(),
        ..Credentials::default()
    };
    let s3 = Verifier::start(eu);
    let keys = format!("aws_secret_key {SECRET_KEY}; aws_region eu-west-1; aws_service s3express;");
    assert_eq!(support::get(start(&s3, &keys).addr(), "/x").status, 200);
}

#[test]
fn secrets_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, content: &[u8], mode: u32| {
        fs::write(dir.path().join(name), content).unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("empty", b"", 0o600);
    write("line", b"\n", 0o600);
    write("lines", b"one\ntwo\n", 0o600);
    write("spaces", b" secret \n", 0o600);
    write("binary", b"sec\0ret", 0o600);
    write("long", &[b'x'; 5000], 0o600);
    write("open", b"secret\n", 0o644);
    let region = "aws_region us-east-1;";
    for name in ["empty", "line", "lines", "spaces", "binary", "long"] {
        refused(
            &format!("aws_secret_key file:{}; {region}", path(name)),
            &format!(
                "invalid value in \"aws_secret_key\" directive, expected one line with a secret access key in \"{}\" in ",
                path(name)
            ),
        );
    }
    refused(
        &format!("aws_secret_key file:{}; {region}", path("none")),
        &format!("cannot read \"{}\": No such file or directory", path("none")),
    );
    refused(
        &format!("aws_secret_key file:{}; {region}", dir.path().display()),
        "not a regular file",
    );
    refused(&format!("aws_secret_key file:; {region}"), "expected a path behind \"file:\"");
    for bad in ["''", "'a b'", "\u{e9}"] {
        refused(
            &format!("aws_secret_key {bad}; {region}"),
            "invalid value in \"aws_secret_key\" directive, expected a secret access key without spaces, or \"file:path\" in ",
        );
    }
    let (good, lines) = test(&format!("aws_secret_key file:{}; {region}", path("open")));
    let warning =
        format!("[warn] \"{}\" holds a secret and is readable by everyone in ", path("open"));
    assert!(good && lines.contains(&warning), "{lines}");
    for (directive, bad) in [("aws_region", "a/b"), ("aws_region", "''"), ("aws_service", "a,b")] {
        refused(
            &format!("aws_secret_key x; {directive} {bad};"),
            &format!("in \"{directive}\" directive, expected a "),
        );
    }
    refused("aws_secret_key x;", "no \"aws_region\" is defined for the \"aws_sign\" directive in ");
    refused(
        &format!("aws_secret_key x; {region} {}", ring([0])),
        "\"aws_signing_key\" directive cannot stand beside \"aws_secret_key\" in ",
    );
    refused(
        &format!("{} aws_secret_key x; {region}", ring([0])),
        "\"aws_secret_key\" directive cannot stand beside \"aws_signing_key\" in ",
    );
    refused(
        &format!("aws_secret_key x; aws_secret_key y; {region}"),
        "\"aws_secret_key\" directive is duplicate",
    );
}

#[test]
fn variables_tell_of_the_keys() {
    let nginx = Nginx::start(&format!(
        "aws_access_key a;
        server {{
            listen 127.0.0.1:{{port}};
            location /ring {{ {ring} return 200 '$aws_key_scope $aws_key_remaining'; }}
            location /over {{ {over} return 200 '[$aws_key_scope]$aws_key_remaining'; }}
            location /secret {{
                aws_secret_key x; aws_region eu-west-1;
                return 200 '$aws_key_scope [$aws_key_remaining]';
            }}
            location /none {{ return 200 '[$aws_key_scope$aws_key_remaining]'; }}
        }}",
        ring = ring([0, 1, 2]),
        over = ring([-3, -2]),
    ));
    let get = |target: &str| support::get(nginx.addr(), target).text();
    let left = 3 * 86_400 - support::unix(SystemTime::now()) % 86_400;
    let text = get("/ring");
    let (scope, remaining) = text.split_once(' ').unwrap();
    assert_eq!(scope, format!("{}/us-east-1/s3/aws4_request", day(0)));
    assert!((left - 5..=left).contains(&remaining.parse().unwrap()), "{remaining}, not {left}");
    assert_eq!(get("/over"), "[]0");
    assert_eq!(get("/secret"), format!("{}/eu-west-1/s3/aws4_request []", day(0)));
    assert_eq!(get("/none"), "[]");
}

#[test]
fn a_torn_file_changes_nothing() {
    let s3 = Verifier::start(Credentials::default());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.conf");
    let whole = ring([0, 1, 2]);
    fs::write(&file, &whole).unwrap();
    let nginx = start(&s3, &format!("include {};", file.display()));
    nginx.allow_log("keys.conf");
    nginx.allow_log("aws_signing_key");
    nginx.allow_log("aws_key_scope");
    for length in [0, 8, 20, 40, 61, 70, 90, whole.len() - 2] {
        fs::write(&file, &whole[..length]).unwrap();
        let seen = nginx.error_log().matches("[emerg]").count();
        nginx.signal("HUP");
        let refused = || nginx.error_log().matches("[emerg]").count() > seen;
        assert!(support::wait_until(Duration::from_secs(10), refused), "{length}");
        assert_eq!(support::get(nginx.addr(), "/x").status, 200);
    }
    fs::remove_file(&file).unwrap();
    nginx.signal("HUP");
    nginx.wait_for_log("failed (2: No such file or directory)", Duration::from_secs(10));
    assert_eq!(support::get(nginx.addr(), "/x").status, 200);
}
