//! The configurations of `nginx-conf/`, with the addresses in them changed.

mod support;

use std::path::Path;

use support::{ACCESS_KEY, Nginx, S3Server, SECRET_KEY};

const KEY: &str = "Grüße & 100% + more.txt";

/// A file of `nginx-conf/`.
fn file(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx-conf").join(name);
    std::fs::read_to_string(file).unwrap()
}

/// A configuration with today's key, after the replacements, each of which must find something.
fn conf(name: &str, replacements: &[(&str, &str)]) -> String {
    let mut text = file(name);
    let key = support::directives();
    let common =
        [("listen 80;", "listen 127.0.0.1:{port};"), ("include       aws-keys.conf;", &key)];
    for (from, to) in common.iter().chain(replacements) {
        assert!(text.contains(from), "{from:?} is not in {name}");
        text = text.replace(from, to);
    }
    text
}

struct Site {
    s3: S3Server,
    big: Vec<u8>,
}

impl Site {
    fn start(endpoint: &str) -> Site {
        let big: Vec<u8> = (0..3_500_000_u32).map(|n| (n % 253) as u8).collect();
        let objects: &[(&str, &[u8])] = &[("some/key", b"some"), (KEY, b"odd"), ("big", &big)];
        let buckets: support::s3::Buckets<'_> = &[("my-bucket", objects)];
        let s3 = S3Server::start_in_memory(ACCESS_KEY, SECRET_KEY, endpoint, buckets);
        Site { s3, big }
    }

    fn check(&self, nginx: &Nginx, prefix: &str) {
        let odd = support::encode_path(KEY.as_bytes());
        for (key, body) in [("some/key", &b"some"[..]), (&odd, b"odd"), ("big", &self.big)] {
            for _ in 0..2 {
                let response = support::get(nginx.addr(), format!("{prefix}{key}"));
                assert_eq!((response.status, response.complete), (200, true), "{key}");
                assert!(response.body == body, "{key}");
            }
        }
        assert_eq!(support::get(nginx.addr(), format!("{prefix}none")).status, 404);
        assert_eq!(
            support::request(nginx.addr(), format!("PUT {prefix}x HTTP/1.0\r\n\r\n")).status,
            405
        );
    }
}

#[test]
fn server_root() {
    let site = Site::start("s3.amazonaws.com");
    let to = format!("http://{}", site.s3.addr());
    let nginx =
        Nginx::start(&conf("server-root.conf", &[("https://my-bucket.s3.amazonaws.com", &to)]));
    site.check(&nginx, "/");
    let list = support::get(nginx.addr(), "/?list-type=2&prefix=some/").text();
    assert!(list.contains("<Key>some/key</Key>"), "{list}");
}

#[test]
fn location() {
    let site = Site::start("s3.amazonaws.com");
    let to = format!("http://{}", site.s3.addr());
    let nginx = Nginx::start(&conf(
        "location.conf",
        &[("https://my-bucket.s3.amazonaws.com", &to), ("/var/www/html", "{prefix}")],
    ));
    site.check(&nginx, "/myfiles/");
    assert_eq!(support::get(nginx.addr(), "/stderr.log").status, 200);
}

#[test]
fn endpoint() {
    let site = Site::start("s3.cn-north-1.amazonaws.com.cn");
    let to = format!("http://$backend:{}", site.s3.port());
    let resolver = format!("resolver 127.0.0.1:{} ipv6=off;", support::name_server());
    let nginx = Nginx::start(&conf(
        "endpoint.conf",
        &[("https://$backend", &to), ("resolver 127.0.0.53;", &resolver)],
    ));
    site.check(&nginx, "/");
}

#[test]
fn cached_and_sliced() {
    let site = Site::start("s3.amazonaws.com");
    let nginx = Nginx::start(&conf(
        "cached-and-sliced.conf",
        &[
            ("my-bucket.s3.amazonaws.com:443", &site.s3.addr().to_string()),
            ("https://s3", "http://s3"),
            ("/var/cache/nginx-s3", "{prefix}/s3"),
        ],
    ));
    site.check(&nginx, "/");
    // four slices, two small objects, and one that is not there
    assert_eq!(site.s3.requests(), 7);
    let part = support::get_with(nginx.addr(), "/big", &[("Range", "bytes=1000000-2000000")]);
    assert_eq!((part.status, &part.body[..]), (206, &site.big[1_000_000..=2_000_000]));
    assert_eq!(site.s3.requests(), 7);
}

#[test]
fn as_they_are() {
    let certificates = tempfile::tempdir().unwrap();
    support::certificate(certificates.path(), "ca.test");
    let certificate = certificates.path().join("ca.test.crt").display().to_string();
    for name in [
        "server-root.conf",
        "location.conf",
        "endpoint.conf",
        "cached-and-sliced.conf",
        "s3-clients.conf",
    ] {
        // what this machine may not have
        let text = file(name)
            .replace(
                "aws-keys.conf",
                concat!(env!("CARGO_MANIFEST_DIR"), "/nginx-conf/aws-keys.conf"),
            )
            .replace("/etc/ssl/certs/ca-certificates.crt", &certificate)
            .replace("/var/cache/nginx-s3", "{prefix}/s3")
            .replace("listen 80;", "listen 127.0.0.1:{port};")
            .replace("my-bucket.s3.amazonaws.com", "127.0.0.1")
            .replace("https://s3.us-east-1.amazonaws.com", "https://127.0.0.1");
        let (good, stderr) = Nginx::builder().http(&text).test();
        assert!(good && !stderr.contains("[emerg]"), "{name}: {stderr}");
    }
}
