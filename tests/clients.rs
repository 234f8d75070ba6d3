//! All sorts of clients, well-behaved and hostile.

mod support;

use std::time::Duration;

use support::http::{Connection, message};
use support::{Credentials, Nginx, Received, Response, Verifier};

struct Site {
    s3: Verifier,
    nginx: Nginx,
}

impl Site {
    fn start(locations: &str) -> Site {
        Site::listening("", locations)
    }

    fn listening(parameter: &str, locations: &str) -> Site {
        let s3 = Verifier::start(Credentials::default());
        let nginx = Nginx::start(&format!(
            "{keys}
            aws_s3_bucket bucket;
            upstream s3 {{ server {addr}; keepalive 4; }}
            server {{ listen 127.0.0.1:{{port}} {parameter}; aws_sign; {locations} }}",
            keys = support::directives(),
            addr = s3.addr(),
        ));
        Site { s3, nginx }
    }

    fn send(&self, bytes: impl AsRef<[u8]>) -> Response {
        support::request(self.nginx.addr(), bytes)
    }

    /// The one request that S3 received, well signed.
    fn one(&self) -> Received {
        let mut received = self.s3.take();
        assert_eq!(received.len(), 1, "{received:?}");
        let received = received.remove(0);
        assert_eq!(received.verdict, Ok(()));
        received
    }
}

const PLAIN: &str = "location / { proxy_pass http://s3; }";

#[test]
fn old_patient_and_hasty_clients() {
    let site = Site::start(PLAIN);
    assert_eq!(site.send("GET /a%20b HTTP/1.0\r\n\r\n").status, 200);
    assert_eq!(site.one().target, b"/a%20b");
    assert_eq!(
        site.send("GET http://other.test/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .status,
        200
    );
    assert_eq!(site.one().target, b"/a");

    let mut connection = Connection::open(site.nginx.addr()).unwrap();
    for target in ["/1", "/2?x", "/3"] {
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(connection.receive().status, 200);
        assert!(site.one().target.starts_with(target.as_bytes()));
    }
    let pipelined = ["/4", "/5", "/6", "/7"]
        .map(|target| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .concat();
    connection.send(pipelined.as_bytes()).unwrap();
    for target in ["/4", "/5", "/6", "/7"] {
        assert!(connection.receive().text().contains(&support::hex(target.as_bytes())));
    }
    let received = site.s3.take();
    assert!(received.len() == 4 && received.iter().all(|received| received.verdict.is_ok()));
    let mut slow = Connection::open(site.nginx.addr()).unwrap();
    for piece in ["GET /sl", "ow HT", "TP/1.1\r\nHo", "st: x\r\n", "\r", "\n"] {
        slow.send(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(slow.receive().status, 200);
    assert_eq!(site.one().target, b"/slow");
    // one that goes away while the answer is awaited
    let mut gone = Connection::open(site.nginx.addr()).unwrap();
    gone.send(b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    drop(gone);
    assert_eq!(site.send("GET /here HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn http_2_clients() {
    let site = Site::listening("http2", PLAIN);
    let mut connection = support::http2::Connection::open(site.nginx.addr());
    assert_eq!(connection.send("GET", "/a%20b+c?x=y", &[]).status, 200);
    assert_eq!(site.one().target, b"/a%20b%2Bc?x=y");
    assert_eq!(connection.send("HEAD", "/a", &[]).status, 200);
    assert_eq!(site.one().method, "HEAD");
    let answers = connection.send_all(&["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"]);
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let received = site.s3.take();
    assert!(received.len() == 8 && received.iter().all(|received| received.verdict.is_ok()));
    let body: &[&[u8]] = &[b"some", b" body", &[b'x'; 5000]];
    for pieces in [&body[..1], body] {
        assert_eq!(connection.send("GET", "/a", pieces).status, 400);
        let put = connection.send("PUT", "/a", pieces);
        assert_eq!((put.status, put.header("Allow")), (405, Some("GET, HEAD")));
    }
    assert!(site.s3.take().is_empty());
    let (one, two): (&[&[u8]], &[&[u8]]) = (&[b""], &[b"", b""]);
    for pieces in [&[][..], one, two] {
        assert_eq!(connection.send("GET", "/b", pieces).status, 200);
        site.one();
    }
}

#[test]
fn other_methods_and_bodies_are_refused() {
    let site = Site::start(PLAIN);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "PURGE"] {
        for body in [&b""[..], b"body"] {
            let response = site.send(message(method, "/a", &[], body));
            assert_eq!(response.status, 405, "{method}");
            assert_eq!(response.header("Allow"), Some("GET, HEAD"));
        }
        site.nginx.wait_for_log(
            &format!("aws_sign: client sent method {method}, only GET and HEAD are signed"),
            Duration::from_secs(1),
        );
    }
    for method in ["GET", "HEAD"] {
        assert_eq!(site.send(message(method, "/a", &[], b"body")).status, 400);
        let chunked = [("Transfer-Encoding", "chunked")];
        assert_eq!(site.send(message(method, "/a", &chunked, b"1\r\nx\r\n0\r\n\r\n")).status, 400);
        assert_eq!(site.send(message(method, "/a", &[("Content-Length", "9")], b"")).status, 400);
    }
    site.nginx.wait_for_log("client sent a body", Duration::from_secs(1));
    assert!(site.s3.take().is_empty());
    // a body of nothing is none
    assert_eq!(site.send(message("GET", "/a", &[("Content-Length", "0")], b"")).status, 200);
    site.one();
    let chunked = [("Transfer-Encoding", "chunked")];
    assert_eq!(site.send(message("GET", "/a", &chunked, b"0\r\n\r\n")).status, 200);
    site.one();

    // what is refused leaves the connection in order
    let mut connection = Connection::open(site.nginx.addr()).unwrap();
    for _ in 0..3 {
        let put = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
        connection.send(put).unwrap();
        assert_eq!(connection.receive().status, 405);
        connection.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(connection.receive().status, 200);
        site.one();
    }
    let log = site.nginx.stop();
    assert!(log.lines().any(|line| line.contains("[info]") && line.contains("method PUT")));
    assert!(!log.contains("[error]") && !log.contains("[warn]"));
}

#[test]
fn headers_of_hostile_clients() {
    let site = Site::start(&format!(
        "underscores_in_headers on; ignore_invalid_headers off; {PLAIN}
        location /payer/ {{
            proxy_set_header X-Amz-Request-Payer requester;
            proxy_set_header x-amz-meta-note 'a  b';
            proxy_set_header Authorization 'Basic xyz';
            proxy_set_header X-Amz-Date 20200101T000000Z;
            proxy_pass http://s3;
        }}
        location /host/ {{ proxy_set_header Host evil.test; proxy_pass http://s3; }}
        location /owner/ {{
            proxy_set_header Connection '';
            proxy_set_header Host $host;
            proxy_set_header X-Amz-Expected-Bucket-Owner 1;
            proxy_set_header X-Amz-Meta-Note $http_x_amz_meta_note;
            proxy_set_header X-Note $http_x_amz_acl;
            proxy_pass http://s3;
        }}"
    ));
    let hostile = [
        ("Host", "evil.test"),
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAEVIL/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
        ),
        ("X-Amz-Date", "20200101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("X-AMZ-Security-Token", "evil"),
        ("x-amz-acl", "public-read"),
        ("x-amz-meta-note", "mine"),
        ("X-Amz-Request-Payer", "requester"),
        ("x-amz-expected-bucket-owner", "1"),
        ("X-Amz-Copy-Source", "/other/secret"),
        ("X-Forwarded-Host", "evil.test"),
        ("x_amz_date", "1"),
        ("Range", "bytes=0-3"),
        ("If-None-Match", "\"x\""),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("Accept", "a  b ,\tc"),
        ("Cookie", "a=b"),
    ];
    let message_to = |target: &str| message("GET", target, &hostile, b"");
    let token = "?X-Amz-Security-Token=t&X-Amz-Signature=0&X-Amz-Algorithm=x&versionId=3";
    assert_eq!(site.send(message_to(&format!("/key{token}"))).status, 200);
    let received = site.one();
    assert_eq!(received.target, b"/key?versionId=3");
    assert_eq!(received.host, "bucket.s3.amazonaws.com");
    let amz: Vec<_> = received
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .filter(|name| name.starts_with("x-amz-"))
        .collect();
    assert_eq!(amz, ["x-amz-date", "x-amz-content-sha256"]);
    for (name, value) in &hostile[12..] {
        assert_eq!(received.header(name).as_deref(), Some(*value), "{name}");
    }

    assert_eq!(site.send(message_to("/payer/x")).status, 200);
    let received = site.one();
    assert_eq!(received.header("x-amz-meta-note").as_deref(), Some("a  b"));
    assert_eq!(received.header("x-amz-acl"), None);
    assert_eq!(site.send(message_to("/host/x")).status, 200);
    assert_eq!(site.one().host, "bucket.s3.amazonaws.com");

    // what the operator sets stays, even when the client sends the same
    assert_eq!(site.send(message_to("/owner/x")).status, 200);
    let received = site.one();
    assert_eq!(received.header("x-amz-expected-bucket-owner").as_deref(), Some("1"));
    assert_eq!(received.header("x-amz-meta-note").as_deref(), Some("mine"));
    assert_eq!(received.header("x-note").as_deref(), Some("public-read"));
    assert_eq!(received.header("x-amz-acl"), None);

    // many and long ones
    let many: Vec<_> = (0..200).map(|n| (format!("X-Amz-Meta-{n}"), "v".repeat(n))).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(site.send(message("GET", "/many", &many[..60], b"")).status, 200);
    site.one();
    // names and values that a strict server would not take
    for line in ["a b: c", "a : c", ": c", "a", " folded", "x\x01y: z", "X-Y: \x7f\x01"] {
        let response = site.send(format!("GET /x HTTP/1.0\r\nX: y\r\n{line}\r\n\r\n"));
        for received in site.s3.take() {
            assert_eq!(received.verdict, Ok(()), "{line:?}");
        }
        assert!([200, 400, 500].contains(&response.status), "{line:?}: {}", response.status);
    }
    site.nginx.allow_log("malformed header line");
}

#[test]
fn line_ends_in_keys_stay_in_keys() {
    let site = Site::start(
        "location / { proxy_pass http://s3; }
        location /uri/ { proxy_pass http://s3$uri; }
        location ~ ^/capture/([^/]*)/ { proxy_pass http://s3/$1; }
        location /header/ { proxy_set_header X-Path $uri; proxy_pass http://s3; }",
    );
    let evil =
        "a%0d%0aX-Amz-Acl:%20public-read%0d%0aHost:%20evil%0d%0a%0d%0aGET%20/x%20HTTP/1.1%0d%0a";
    let decoded = support::decode(evil.as_bytes());
    for (prefix, sent) in [("/", "/"), ("/uri/", "/uri/")] {
        assert_eq!(support::get(site.nginx.addr(), format!("{prefix}{evil}")).status, 200);
        let received = site.one();
        assert_eq!(received.path_decoded, [sent.as_bytes(), &decoded].concat());
        assert_eq!(received.header("X-Amz-Acl"), None);
    }
    assert_eq!(support::get(site.nginx.addr(), "/capture/a%0d%0aX-B:%20c/x").status, 200);
    assert_eq!(site.one().path_decoded, b"/a\r\nX-B: c");
    // where the operator pastes a decoded key into a header, nginx itself breaks the line
    assert_eq!(support::get(site.nginx.addr(), format!("/header/{evil}")).status, 500);
    assert!(site.s3.take().is_empty());
}

#[test]
fn what_cannot_be_signed_is_not_sent() {
    const OTHER: &str = "aws_sign: only what \"proxy_pass\" sends can be signed";
    let other = Verifier::start(Credentials::default());
    let site = Site::start(&format!(
        "location /fastcgi/ {{ fastcgi_pass {0}; }}
        location /uwsgi/ {{ uwsgi_pass {0}; }}
        location /scgi/ {{ scgi_pass {0}; }}
        location /grpc/ {{ grpc_pass grpc://{0}; }}
        location /memcached/ {{ set $memcached_key x; memcached_pass {0}; }}
        location /inner/ {{ aws_sign; fastcgi_pass {0}; }}
        location /pixel/ {{ aws_sign; empty_gif; }}
        location /file/ {{ root {{prefix}}; }}
        location /static {{ return 200 fine; }}
        location /length/ {{ proxy_set_header Content-Length 5; proxy_pass http://s3; }}
        location /method/ {{ proxy_method PUT; proxy_pass http://s3; }}
        location /chunked/ {{ proxy_set_header Transfer-Encoding chunked; proxy_pass http://s3; }}",
        other.addr()
    ));
    for (target, reason) in [
        ("/fastcgi/x", OTHER),
        ("/uwsgi/x", OTHER),
        ("/scgi/x", OTHER),
        ("/grpc/x", OTHER),
        ("/memcached/x", OTHER),
        ("/inner/x", OTHER),
        ("/pixel/x", OTHER),
        ("/length/x", "has a body in chunks, or of another length than its head says"),
        ("/method/x", "the method of the upstream request is not in \"aws_sign_methods\""),
        ("/chunked/x", "has a body in chunks, or of another length than its head says"),
    ] {
        let mark = site.nginx.error_log().len();
        assert_eq!(support::get(site.nginx.addr(), target).status, 500, "{target}");
        let log = site.nginx.error_log();
        let line = log[mark..].lines().find(|line| line.contains("[error]"));
        assert!(line.is_some_and(|line| line.contains(reason)), "{target}: {line:?}");
    }
    assert_eq!(support::get(site.nginx.addr(), "/static").text(), "fine");
    assert_eq!(support::get(site.nginx.addr(), "/file/none").status, 404);
    assert!(site.s3.take().is_empty() && other.connections() == 0);
}
