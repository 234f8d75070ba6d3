//! Requests that nginx makes out of others: redirects, subrequests, retries, blocks in blocks.

mod support;

use std::time::Duration;

use support::http::message;
use support::{Answer, Credentials, Nginx, Received, Response, Verifier};

/// nginx between a client, an S3 that answers by the path, and an application that is not signed
/// for.
struct Site {
    s3: Verifier,
    app: Verifier,
    nginx: Nginx,
}

const LOCATIONS: &str = r#"
    location /if-on/ { proxy_pass http://s3; if ($arg_sign) { aws_sign; } }
    location /if-off/ { aws_sign; proxy_pass http://s3; if ($arg_plain) { aws_sign off; } }
    location /if-own/ { aws_sign; proxy_pass http://app; if ($arg_s3) { proxy_pass http://s3; } }
    location /if-only/ { if ($arg_s3) { aws_sign; proxy_pass http://s3; } }
    location /limit/ { aws_sign; proxy_pass http://s3; limit_except GET { deny all; } }
    location /limit-own/ { aws_sign; proxy_pass http://app; limit_except POST { proxy_pass http://s3; } }
    location /limit-inherits/ { aws_sign; proxy_pass http://s3; limit_except POST { allow all; } }

    location /outer/ {
        aws_sign;
        proxy_pass http://s3;
        location /outer/inner/ { proxy_pass http://s3; }
        location /outer/off/ { aws_sign off; proxy_pass http://s3; }
        location /outer/bare/ { }
        location ~ \.txt$ { proxy_pass http://s3; }
    }

    location /intercept/ {
        aws_sign;
        proxy_intercept_errors on;
        error_page 404 = @again;
        error_page 500 /errors/500.html;
        proxy_pass http://s3;
    }
    location @again { aws_sign; rewrite ^ /found break; proxy_pass http://s3; }
    location /errors/ { internal; aws_sign; proxy_pass http://s3; }
    location /app/ {
        proxy_intercept_errors on;
        error_page 500 /errors/app.html;
        error_page 503 @maintenance;
        proxy_pass http://app;
    }
    location @maintenance { aws_sign; rewrite ^ /maintenance.html break; proxy_pass http://s3; }
    location /read-only/ { aws_sign; error_page 405 /errors/405.html; proxy_pass http://s3; }
    location /set-body/ { internal; aws_sign; proxy_set_body fixed; proxy_pass http://s3; }
    location /to-set-body/ { error_page 405 /set-body/x; return 405; }
    location /streamed/ { internal; aws_sign; proxy_request_buffering off; proxy_pass http://s3; }
    location /to-streamed/ { error_page 405 /streamed/x; return 405; }

    location /accel/ { proxy_pass http://app; }
    location /protected/ { internal; aws_sign; proxy_pass http://s3/; }
    location @protected { aws_sign; proxy_pass http://s3; }

    location /checked/ { auth_request /check; proxy_pass http://app; }
    location = /check {
        internal;
        aws_sign;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://s3/permissions;
    }
    location /checked-careless/ { auth_request /check-careless; proxy_pass http://app; }
    location = /check-careless { internal; aws_sign; proxy_pass http://s3/permissions; }
    location /checked-streamed/ {
        proxy_request_buffering off; auth_request /check-streamed; proxy_pass http://app;
    }
    location = /check-streamed {
        internal; aws_sign; proxy_request_buffering off; proxy_pass http://s3/permissions;
    }
    location /checked-s3/ { auth_request /check; aws_sign; proxy_pass http://s3; }
    location /refused/ { auth_request /refusal; proxy_pass http://app; }
    location = /refusal { internal; aws_sign; proxy_pass http://s3/status/403; }

    location /mirrored/ { mirror /mirror; proxy_pass http://app; }
    location = /mirror { internal; aws_sign; proxy_pass http://s3$request_uri; }
    location /both/ { mirror /mirror; aws_sign; proxy_pass http://s3; }

    location /try/ { root {prefix}; try_files $uri $uri/ @again; }
    location /ssi/ { ssi on; proxy_pass http://app; }
    location /part/ { aws_sign; proxy_pass http://s3; }
    location /done/ { post_action /after; proxy_pass http://app; }
    location = /after { internal; aws_sign; proxy_pass http://s3; }

    location /retry/ { aws_sign; proxy_next_upstream error http_503; proxy_pass http://retry; }
    location /dead/ { aws_sign; error_page 502 = @again; proxy_pass http://dead; }
"#;

impl Site {
    fn start() -> Site {
        let s3 = Verifier::with_responder(Credentials::default(), |received| {
            let path = String::from_utf8_lossy(&received.path_decoded).into_owned();
            match path.strip_prefix("/status/").or(path.strip_prefix("/intercept/")) {
                Some(status) if received.verdict.is_ok() => {
                    Answer::new(status.parse().unwrap_or(200), "status")
                }
                _ => Answer::verdict(received),
            }
        });
        let app = Verifier::with_responder(Credentials::default(), |received| {
            let path = String::from_utf8_lossy(&received.path_decoded).into_owned();
            let answer = Answer::new(200, "app");
            match path.as_str() {
                "/accel/file" => answer.header("X-Accel-Redirect", "/protected/a%20b%2Bc?v=1"),
                "/accel/named" => answer.header("X-Accel-Redirect", "@protected"),
                "/app/500" => Answer::new(500, "app"),
                "/app/503" => Answer::new(503, "app"),
                "/ssi/page" => Answer::new(
                    200,
                    "<!--# include virtual=\"/part/1?a=b\" -->|<!--# include virtual=\"/part/2\" -->",
                )
                .header("Content-Type", "text/html"),
                _ => answer,
            }
        });
        let broken = Verifier::with_responder(Credentials::default(), |_| Answer::drop());
        let busy = Verifier::with_responder(Credentials::default(), |_| Answer::new(503, ""));
        let nginx = Nginx::builder()
            .http(&format!(
                "{keys}
                aws_s3_bucket bucket;
                upstream s3 {{ server {s3}; }}
                upstream app {{ server {app}; }}
                upstream dead {{ server {broken}; }}
                upstream retry {{
                    server {broken}; server {busy}; server {s3} backup; keepalive 2;
                }}
                server {{ listen 127.0.0.1:{{port}}; {LOCATIONS} }}",
                keys = support::directives(),
                s3 = s3.addr(),
                app = app.addr(),
                broken = broken.addr(),
                busy = busy.addr(),
            ))
            .start();
        // they serve as long as nginx does
        std::mem::forget((broken, busy));
        Site { s3, app, nginx }
    }

    fn send(&self, method: &str, target: &str, body: &[u8]) -> Response {
        support::request(self.nginx.addr(), message(method, target, &[], body))
    }

    /// Sends a request and returns the answer with what S3 received.
    fn ask(&self, method: &str, target: &str, body: &[u8]) -> (Response, Vec<Received>) {
        let response = self.send(method, target, body);
        (response, self.s3.take())
    }

    /// Checks the status of the answer, and that S3 received these requests, well signed and without
    /// bodies.
    fn expect(&self, method: &str, target: &str, body: &[u8], status: u16, requests: &[&str]) {
        let (response, received) = self.ask(method, target, body);
        let shown: Vec<_> = received
            .iter()
            .map(|r| format!("{} {}", r.method, String::from_utf8_lossy(&r.target)))
            .collect();
        let what = format!("{method} {target}: {} {shown:?}", response.status_line);
        assert_eq!(response.status, status, "{what}");
        assert_eq!(shown, requests, "{what}");
        for received in received {
            assert_eq!(received.verdict, Ok(()), "{what}");
            assert!(received.body.is_empty() && received.header("Content-Length").is_none());
        }
    }
}

#[test]
fn blocks_in_locations() {
    let site = Site::start();
    let signed = |target: &str| {
        site.expect("GET", target, b"", 200, &[&format!("GET {target}")]);
        site.expect("HEAD", target, b"", 200, &[&format!("HEAD {target}")]);
    };
    let unsigned = |target: &str| {
        let (response, received) = site.ask("GET", target, b"");
        assert_eq!((response.status, received.len()), (403, 1), "{target}");
        assert_eq!(received[0].header("Authorization"), None);
    };
    signed("/if-on/x?sign=1");
    unsigned("/if-on/x");
    signed("/if-off/x");
    unsigned("/if-off/x?plain=1");
    signed("/if-own/x?s3=1");
    site.expect("GET", "/if-own/x", b"", 200, &[]);
    assert_eq!(site.app.take().last().unwrap().verdict, Ok(()), "signed, for all it is worth");
    signed("/if-only/x?s3=1");
    site.expect("GET", "/if-only/x", b"", 404, &[]);
    site.expect("PUT", "/if-only/x?s3=1", b"body", 405, &[]);
    signed("/limit/x");
    site.expect("POST", "/limit/x", b"body", 403, &[]);
    signed("/limit-own/x");
    site.expect("POST", "/limit-own/x", b"body", 405, &[]);
    signed("/limit-inherits/x");
    signed("/outer/x");
    signed("/outer/inner/x");
    signed("/outer/x.txt");
    unsigned("/outer/off/x");
    // "proxy_pass" does not inherit: nginx looks for a file
    site.expect("GET", "/outer/bare/x", b"", 404, &[]);
    site.nginx.allow_log("open()");
}

#[test]
fn redirects_make_requests_of_their_own() {
    let site = Site::start();
    site.expect("GET", "/intercept/404", b"", 200, &["GET /intercept/404", "GET /found"]);
    site.expect("HEAD", "/intercept/404", b"", 200, &["HEAD /intercept/404", "HEAD /found"]);
    site.expect("GET", "/intercept/500", b"", 500, &["GET /intercept/500", "GET /errors/500.html"]);
    site.expect("GET", "/app/500", b"", 500, &["GET /errors/app.html"]);
    site.expect("HEAD", "/app/500", b"", 500, &["HEAD /errors/app.html"]);
    // a redirect to a path makes a GET of any method, and leaves the body behind
    site.expect("POST", "/app/500", b"some body", 500, &["GET /errors/app.html"]);
    site.expect("POST", "/app/500", &[b'x'; 100_000], 500, &["GET /errors/app.html"]);
    site.expect("PUT", "/read-only/x", b"some body", 405, &["GET /errors/405.html"]);
    site.expect("PUT", "/read-only/x", &[b'x'; 100_000], 405, &["GET /errors/405.html"]);
    // one to a named location keeps it
    site.expect("GET", "/app/503", b"", 503, &["GET /maintenance.html"]);
    site.expect("POST", "/app/503", b"some body", 405, &[]);
    let app = site.app.take();
    assert!(app.iter().all(|r| r.header("Authorization").is_none()));
    assert_eq!(app.iter().find(|r| r.method == "POST").unwrap().body, b"some body");

    let (response, received) = site.ask("POST", "/to-set-body/x", b"some body");
    assert_eq!((response.status, received.len()), (405, 1));
    assert_eq!((&received[0].verdict, &received[0].body[..]), (&Ok(()), &b"fixed"[..]));
    assert_eq!(received[0].header("Content-Length").as_deref(), Some("5"));

    for body in [&b""[..], b"some body", &[b'x'; 100_000]] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        site.expect(method, "/to-streamed/x", body, 405, &["GET /streamed/x"]);
        site.expect(method, "/checked-streamed/x", body, 200, &["GET /permissions"]);
        assert_eq!(site.app.take().last().unwrap().body, body);
    }

    site.expect("GET", "/accel/file", b"", 200, &["GET /a%20b%2Bc?v=1"]);
    site.expect("HEAD", "/accel/file", b"", 200, &["HEAD /a%20b%2Bc?v=1"]);
    site.expect("POST", "/accel/file", b"some body", 200, &["GET /a%20b%2Bc?v=1"]);
    site.expect("GET", "/accel/named", b"", 200, &["GET /accel/named"]);
    site.expect("POST", "/accel/named", b"some body", 405, &[]);
    site.expect("GET", "/try/x", b"", 200, &["GET /found"]);
    site.expect("GET", "/dead/x", b"", 200, &["GET /found"]);
}

#[test]
fn subrequests_are_signed() {
    let site = Site::start();
    for body in [&b""[..], b"some body", &[b'x'; 100_000]] {
        let methods: &[&str] = if body.is_empty() { &["GET", "HEAD"] } else { &["PUT", "POST"] };
        for method in methods {
            site.expect(method, "/checked/x", body, 200, &["GET /permissions"]);
            let app = site.app.take();
            assert_eq!((&app[0].method[..], &app[0].body[..]), (*method, body));
            site.expect(method, "/checked-careless/x", body, 200, &["GET /permissions"]);
            assert_eq!(site.app.take()[0].body, body);
            site.expect(method, "/refused/x", body, 403, &["GET /status/403"]);
            assert!(site.app.take().is_empty());
        }
    }
    let both = ["GET /permissions", "GET /checked-s3/x?b="];
    site.expect("GET", "/checked-s3/x?b", b"", 200, &both);

    assert_eq!(site.send("GET", "/mirrored/a%20b?x", b"").text(), "app");
    let received = site.s3.take_when(1, Duration::from_secs(5));
    assert_eq!(
        (&received[0].verdict, &received[0].target[..]),
        (&Ok(()), &b"/mirrored/a%20b?x="[..])
    );
    // a mirror keeps the method: it is not signed, and the request itself is not disturbed
    for body in [&b"some body"[..], &[b'x'; 100_000]] {
        assert_eq!(site.send("PUT", "/mirrored/x", body).text(), "app");
        assert_eq!(site.app.take().last().unwrap().body, body);
    }
    assert!(site.s3.take().is_empty());
    assert_eq!(site.send("GET", "/both/x", b"").status, 200);
    let received = site.s3.take_when(2, Duration::from_secs(5));
    assert!(received.iter().all(|r| r.verdict.is_ok() && r.target == b"/both/x"));

    let (response, received) = site.ask("GET", "/ssi/page", b"");
    assert_eq!(received.len(), 2, "{}", response.text());
    assert_eq!(response.text(), "GET 2f706172742f31 a=b\n|GET 2f706172742f32 \n");
    assert!(received.iter().all(|received| received.verdict.is_ok()));

    assert_eq!(site.send("GET", "/done/x", b"").text(), "app");
    let received = site.s3.take_when(1, Duration::from_secs(5));
    assert_eq!((&received[0].verdict, &received[0].target[..]), (&Ok(()), &b"/after"[..]));
}

#[test]
fn a_retry_sends_the_same_bytes() {
    let s3 = Verifier::start(Credentials::default());
    let busy = Verifier::with_responder(Credentials::default(), |_| Answer::new(503, "busy"));
    let broken = Verifier::with_responder(Credentials::default(), |_| Answer::drop());
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        upstream up {{
            server {broken} max_fails=0; server {busy} max_fails=0; server {s3} backup;
        }}
        proxy_cache_path {{prefix}}/cache keys_zone=cache:1m;
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            proxy_next_upstream error http_503;
            location / {{ proxy_pass http://up; }}
            location /cached/ {{ proxy_cache cache; proxy_pass http://up; }}
            location /body/ {{ proxy_set_body abc; proxy_pass http://up/; }}
        }}",
        keys = support::directives(),
        broken = broken.addr(),
        busy = busy.addr(),
        s3 = s3.addr(),
    ));
    for target in ["/x%20y?b&a", "/cached/x+y", "/body/x"] {
        for _ in 0..3 {
            let response = support::get(nginx.addr(), target);
            assert_eq!(response.status, 200, "{target}: {}", response.text());
            let all: Vec<_> = [broken.take(), busy.take(), s3.take()].concat();
            assert!(all.len() == 3 || target.starts_with("/cached"), "{}", all.len());
            for received in &all {
                assert_eq!(received.verdict, Ok(()));
                assert_eq!(received.raw_head, all[0].raw_head);
                assert_eq!(received.body, all[0].body);
            }
        }
    }
    nginx.allow_log("no live upstreams");
}

#[test]
fn what_this_server_has_itself_needs_no_signature() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            location / {{ {keys} aws_s3_bucket bucket; proxy_pass http://{s3}; }}
            location = /pixel.gif {{ empty_gif; }}
            location = /fine {{ return 200 fine; }}
            location /moved {{ return 301 /x; }}
            location /conf/ {{ alias {{prefix}}/; }}
            location /index/ {{ alias {{prefix}}/; autoindex on; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
    ));
    let mut connection = support::Connection::open(nginx.addr()).unwrap();
    for (target, status) in [
        ("/pixel.gif", 200),
        ("/fine", 200),
        ("/moved", 301),
        ("/conf/error.log", 200),
        ("/index/", 200),
        ("/x", 200),
        ("/pixel.gif", 200),
    ] {
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let response = connection.receive();
        assert_eq!((response.status, response.complete), (status, true), "{target}");
        assert!(!response.body.is_empty());
    }
    let received = s3.take();
    assert!(received.len() == 1 && received[0].verdict.is_ok());
}
