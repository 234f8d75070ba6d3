//! Methods that write, and their bodies, however they come.

mod support;

use std::time::Duration;

use support::http::{Connection, chunks, message};
use support::{ACCESS_KEY, Answer, Credentials, Nginx, S3Server, SECRET_KEY, Verifier};

/// Bodies of no, one, some and many bytes: in one buffer, in several, in a file.
fn bodies() -> Vec<Vec<u8>> {
    [0, 1, 1000, 20_000, 100_000, 3_000_000]
        .map(|len| (0..len).map(|n: u32| (n % 251) as u8).collect())
        .to_vec()
}

const LOCATIONS: &str = "
    client_max_body_size 10m;
    location / { proxy_pass http://s3; }
    location /file/ { client_body_in_file_only on; proxy_pass http://s3; }
    location /single/ { client_body_in_single_buffer on; proxy_pass http://s3; }
    location /kept/ { proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://s3; }
    location /mirrored/ { mirror /copy; proxy_pass http://s3; }
    location = /copy { internal; proxy_pass http://app; aws_sign off; }
    location /checked/ { auth_request /check; proxy_pass http://s3; }
    location = /check { internal; proxy_pass http://s3/permissions; }
    location /set/ { proxy_set_body fixed; proxy_pass http://s3; }
    location /without/ { proxy_pass_request_body off; proxy_set_header Content-Length 0; proxy_pass http://s3; }
    location /from-app/ { aws_sign off; proxy_intercept_errors on; error_page 404 = @s3; proxy_pass http://app; }
    location @s3 { proxy_pass http://s3; }
";

struct Site {
    s3: Verifier,
    app: Verifier,
    nginx: Nginx,
    /// Before 1.25.1, nginx speaks no other version where it speaks HTTP/2.
    http2: std::net::SocketAddr,
}

impl Site {
    fn start(directives: &str, locations: &str) -> Site {
        let unsigned_payload = directives.contains("unsigned");
        let s3 = Verifier::start(Credentials { unsigned_payload, ..Credentials::default() });
        let app = Verifier::with_responder(Credentials::default(), |received| {
            Answer::new(if received.target.starts_with(b"/from-app") { 404 } else { 200 }, "app")
        });
        let http2 = std::net::SocketAddr::from(([127, 0, 0, 1], support::free_port()));
        let nginx = Nginx::builder()
            .log_level("info")
            .http(&format!(
                "{keys} aws_s3_bucket bucket; aws_sign_methods GET HEAD PUT POST DELETE; {directives}
                upstream s3 {{ server {s3}; keepalive 2; }}
                upstream app {{ server {app}; }}
                server {{ listen 127.0.0.1:{{port}}; listen {http2} http2; aws_sign; {locations} }}",
                keys = support::directives(),
                s3 = s3.addr(),
                app = app.addr(),
            ))
            .start();
        Site { s3, app, nginx, http2 }
    }

    fn check(&self, method: &str, target: &str, body: &[u8], hash: &str) {
        let received = self.s3.take();
        let received: Vec<_> =
            received.iter().filter(|received| received.target != b"/permissions").collect();
        let what = format!("{method} {target}, {} bytes", body.len());
        assert_eq!(received.len(), 1, "{what}");
        assert_eq!(received[0].verdict, Ok(()), "{what}");
        assert_eq!(received[0].method, method);
        assert!(received[0].body == body, "{what}: {}", received[0].body.len());
        assert_eq!(received[0].header("X-Amz-Content-Sha256").as_deref(), Some(hash), "{what}");
    }
}

/// `body` in chunks.
fn chunked(body: &[u8]) -> Vec<u8> {
    [chunks(body, 7777), b"0\r\n\r\n".to_vec()].concat()
}

#[test]
fn bodies_are_signed_however_they_come() {
    let site = Site::start("", LOCATIONS);
    let addr = site.nginx.addr();
    for prefix in ["/", "/file/", "/single/", "/kept/", "/mirrored/", "/checked/", "/from-app/"] {
        for body in bodies() {
            let target = format!("{prefix}a%20b?x=");
            let hash = support::sha256_hex(&body);
            for method in ["PUT", "POST"] {
                let length = body.len().to_string();
                let plain = message(method, &target, &[("Content-Length", &length)], &body);
                let response = support::request(addr, plain);
                assert_eq!(response.status, 200, "{method} {target}: {}", response.text());
                site.check(method, &target, &body, &hash);
            }
            let framing = [("Transfer-Encoding", "chunked")];
            let response =
                support::request(addr, message("PUT", &target, &framing, &chunked(&body)));
            assert_eq!(response.status, 200, "chunked {target}: {}", response.text());
            site.check("PUT", &target, &body, &hash);

            let mut slow = Connection::open(addr).unwrap();
            let head = [("Content-Length", &*body.len().to_string()), ("Expect", "100-continue")];
            slow.send(&message("PUT", &target, &head, b"")).unwrap();
            for piece in body.chunks(body.len() / 3 + 1) {
                std::thread::sleep(Duration::from_millis(10));
                slow.send(piece).unwrap();
            }
            assert_eq!(slow.receive().status, 200);
            site.check("PUT", &target, &body, &hash);

            let mut http2 = support::http2::Connection::open(site.http2);
            let pieces: Vec<&[u8]> = body.chunks(body.len() / 3 + 1).collect();
            assert_eq!(http2.send("PUT", &target, &pieces).status, 200);
            site.check("PUT", &target, &body, &hash);
        }
    }
    site.app.take();
    let empty = support::sha256_hex(b"");
    for method in ["DELETE", "GET", "HEAD", "PUT"] {
        assert_eq!(support::request(addr, message(method, "/x", &[], b"")).status, 200);
        site.check(method, "/x", b"", &empty);
    }
    support::request(addr, message("PUT", "/set/x", &[], b"something"));
    site.check("PUT", "/set/x", b"fixed", &support::sha256_hex(b"fixed"));
    support::request(addr, message("PUT", "/without/x", &[], b"something"));
    site.check("PUT", "/without/x", b"", &empty);
    assert!(!site.nginx.stop().contains("[error]"));
}

#[test]
fn what_is_not_listed_is_refused() {
    let site = Site::start(
        "",
        "location / { proxy_pass http://s3; }
        location /put/ { aws_sign_methods PUT; proxy_pass http://s3; }",
    );
    for (method, target, allow) in [
        ("OPTIONS", "/x", "GET, HEAD, PUT, POST, DELETE"),
        ("PATCH", "/x", "GET, HEAD, PUT, POST, DELETE"),
        ("GET", "/put/x", "PUT"),
        ("DELETE", "/put/x", "PUT"),
    ] {
        let response = support::request(site.nginx.addr(), message(method, target, &[], b""));
        assert_eq!((response.status, response.header("Allow")), (405, Some(allow)));
    }
    let get = message("GET", "/x", &[], b"body");
    assert_eq!(support::request(site.nginx.addr(), get).status, 400);
    assert!(site.s3.take().is_empty());
    for (directive, message) in [
        (
            "aws_sign_methods get;",
            "invalid value \"get\" in \"aws_sign_methods\" directive, expected GET, HEAD, PUT, POST, \
             DELETE or OPTIONS",
        ),
        ("aws_sign_methods GET PATCH;", "invalid value \"PATCH\" in \"aws_sign_methods\""),
        ("aws_sign_methods;", "invalid number of arguments"),
        ("aws_sign_methods GET; aws_sign_methods PUT;", "is duplicate"),
        ("aws_payload on;", "it must be \"signed\" or \"unsigned\""),
        ("aws_payload signed; aws_payload signed;", "is duplicate"),
    ] {
        let (good, stderr) = Nginx::builder().http(directive).test();
        assert!(!good && stderr.contains(message), "{directive}: {stderr}");
    }
}

#[test]
fn unsigned_bodies_stream() {
    let site = Site::start(
        "aws_payload unsigned;",
        "client_max_body_size 10m;
        location / { proxy_pass http://s3; }
        location /streamed/ { proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://s3; }",
    );
    let addr = site.nginx.addr();
    for prefix in ["/", "/streamed/"] {
        for body in bodies() {
            let target = format!("{prefix}x");
            let empty = support::sha256_hex(b"");
            let hash = if body.is_empty() { &*empty } else { "UNSIGNED-PAYLOAD" };
            let mut slow = Connection::open(addr).unwrap();
            slow.send(&message(
                "PUT",
                &target,
                &[("Content-Length", &body.len().to_string())],
                b"",
            ))
            .unwrap();
            for piece in body.chunks(body.len() / 3 + 1) {
                std::thread::sleep(Duration::from_millis(10));
                slow.send(piece).unwrap();
            }
            assert_eq!(slow.receive().status, 200);
            site.check("PUT", &target, &body, hash);
        }
    }
    // the length must be known before the body
    let framing = [("Transfer-Encoding", "chunked")];
    let response =
        support::request(addr, message("PUT", "/streamed/x", &framing, &chunked(b"abc")));
    assert_eq!(response.status, 411);
    let mut http2 = support::http2::Connection::open(site.http2);
    assert_eq!(http2.send("PUT", "/streamed/x", &[b"abc"]).status, 411);
    assert!(site.s3.take().is_empty());
    assert_eq!(http2.send("GET", "/streamed/x", &[]).status, 200);
    let with_length = http2.send_with("PUT", "/streamed/x", &[("content-length", "3")], &[b"abc"]);
    assert_eq!(with_length.status, 200);
    assert!(!site.nginx.stop().contains("[error]"));
}

#[test]
fn what_is_streamed_cannot_be_signed() {
    let site = Site::start("", "location / { proxy_request_buffering off; proxy_pass http://s3; }");
    let put = message("PUT", "/x", &[], b"some body");
    assert_eq!(support::request(site.nginx.addr(), put).status, 500);
    assert!(site.s3.take().is_empty());
    site.nginx.wait_for_log(
        "a body cannot be signed with \"proxy_request_buffering off\", unless with \"aws_payload unsigned\"",
        Duration::from_secs(1),
    );
    for method in ["GET", "PUT", "DELETE"] {
        let empty = message(method, "/x", &[], b"");
        assert_eq!(support::request(site.nginx.addr(), empty).status, 200);
    }
}

#[test]
fn a_retry_sends_the_body_again() {
    let s3 = Verifier::start(Credentials::default());
    let broken = Verifier::with_responder(Credentials::default(), |_| Answer::drop());
    let nginx = Nginx::start(&format!(
        "{keys} aws_s3_bucket bucket; aws_sign_methods PUT;
        upstream up {{ server {} max_fails=0; server {} backup; }}
        server {{
            listen 127.0.0.1:{{port}}; aws_sign; client_max_body_size 10m;
            proxy_next_upstream error;
            location / {{ proxy_pass http://up; }}
        }}",
        broken.addr(),
        s3.addr(),
        keys = support::directives(),
    ));
    for body in bodies() {
        assert_eq!(support::request(nginx.addr(), message("PUT", "/x", &[], &body)).status, 200);
        let received = s3.take();
        assert!(received.len() == 1 && received[0].verdict.is_ok() && received[0].body == body);
    }
    nginx.allow_log("no live upstreams");
}

#[test]
fn objects_go_to_a_server_and_come_back() {
    let s3 = S3Server::start(ACCESS_KEY, SECRET_KEY, "s3.test", &[("bucket", &[])]);
    let nginx = Nginx::builder()
        .log_level("info")
        .http(&format!(
            "{keys} aws_s3_bucket bucket; aws_endpoint s3.test; aws_sign_methods GET HEAD PUT DELETE;
            server {{
                listen 127.0.0.1:{{port}}; aws_sign; client_max_body_size 10m;
                location / {{ proxy_pass http://{0}; }}
                location /unsigned/ {{
                    aws_payload unsigned; proxy_request_buffering off; proxy_pass http://{0};
                }}
            }}",
            s3.addr(),
            keys = support::directives(),
        ))
        .start();
    let send = |method: &str, target: &str, body: &[u8]| {
        let length = body.len().to_string();
        let headers = [("Content-Length", &length[..])];
        let headers = if method == "PUT" { &headers[..] } else { &[] };
        support::request(nginx.addr(), message(method, target, headers, body))
    };
    for prefix in ["/", "/unsigned/"] {
        for body in bodies() {
            let target = format!("{prefix}Gr%C3%BC%C3%9Fe%20%26%20100%25+more");
            assert_eq!(send("PUT", &target, &body).status, 200);
            assert!(send("GET", &target, b"").body == body);
            assert_eq!(send("DELETE", &target, b"").status, 204);
            assert_eq!(send("GET", &target, b"").status, 404);
        }
    }
}

/// How many bytes a process has read from files, as the system counts them.
fn bytes_read(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn a_body_in_a_file_is_read_once() {
    let site = Site::start(
        "client_body_in_file_only clean;",
        "client_max_body_size 10m; location / { proxy_pass http://s3; }",
    );
    let worker = *site.nginx.worker_pids().first().unwrap();
    let body = vec![b'x'; 4_000_000];
    let before = bytes_read(worker);
    for n in 1..=3 {
        let put = message("PUT", "/x", &[], &body);
        assert_eq!(support::request(site.nginx.addr(), put).status, 200);
        site.check("PUT", "/x", &body, &support::sha256_hex(&body));
        let read = bytes_read(worker) - before;
        assert!(read < n * body.len() as u64 + 1_000_000, "{read} bytes after {n} requests");
    }
}
