//! Bodies of which nginx has not all, or whose length the server would not know: none of them is sent.

mod support;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use support::http::{Connection, chunks, message, try_request};
use support::{Answer, Credentials, Nginx, Verifier};

const TRAILER: (&str, &str) = ("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
const CHUNKED: (&str, &str) = ("Transfer-Encoding", "chunked");

fn verifier() -> Verifier {
    Verifier::start(Credentials { unsigned_payload: true, ..Credentials::default() })
}

fn start(s3: &Verifier, server: &str) -> Nginx {
    Nginx::builder()
        .log_level("info")
        .http(&format!(
            "{keys} aws_s3_bucket bucket; aws_sign_methods GET HEAD PUT POST DELETE;
            proxy_http_version 1.1; proxy_set_header Connection '';
            upstream s3 {{ server {s3}; keepalive 4; }}
            server {{ listen 127.0.0.1:{{port}}; client_max_body_size 10m; {server} }}",
            s3 = s3.addr(),
            keys = support::directives(),
        ))
        .start()
}

#[test]
fn a_body_of_no_known_length_is_no_second_request() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "aws_sign; proxy_set_header Content-Length '';
        location / { proxy_pass http://s3; }
        location /unsigned/ { aws_payload unsigned; proxy_pass http://s3; }
        location /streamed/ { aws_payload unsigned; proxy_request_buffering off; proxy_pass http://s3; }
        location /streamed-signed/ { proxy_request_buffering off; proxy_pass http://s3; }",
    );
    let smuggled = b"DELETE /victim HTTP/1.1\r\nHost: bucket.s3.amazonaws.com\r\n\r\n";
    for target in ["/x", "/unsigned/x", "/streamed/x", "/streamed-signed/x"] {
        for headers in [&[][..], &[TRAILER]] {
            let response =
                support::request(nginx.addr(), message("PUT", target, headers, smuggled));
            assert_eq!(response.status, 500, "{target} {headers:?}");
            // in two packets, of which nginx has seen one when it makes the head
            let length = smuggled.len().to_string();
            let mut headers = headers.to_vec();
            headers.push(("Content-Length", &length));
            let mut slow = Connection::open(nginx.addr()).unwrap();
            slow.send(&message("PUT", target, &headers, b"")).unwrap();
            thread::sleep(Duration::from_millis(20));
            slow.send(smuggled).unwrap();
            assert_eq!(slow.receive().status, 500, "{target} {headers:?}");
        }
    }
    assert_eq!(support::request(nginx.addr(), message("PUT", "/x", &[], b"")).status, 200);
    let received = s3.take();
    assert_eq!((received.len(), &received[0].verdict), (1, &Ok(())));
}

/// A server that answers as soon as it has seen a head, whatever follows.
fn hasty() -> SocketAddr {
    let listener = support::listen();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    addr
}

#[test]
fn a_body_that_another_location_was_sending_is_not_taken_over() {
    let s3 = verifier();
    let hasty = hasty();
    let nginx = start(
        &s3,
        &format!(
            "proxy_intercept_errors on;
            location / {{ proxy_request_buffering off; error_page 404 = @s3; proxy_pass http://{hasty}; }}
            location /unsigned/ {{
                proxy_request_buffering off; error_page 404 = @unsigned; proxy_pass http://{hasty};
            }}
            location /streamed/ {{
                proxy_request_buffering off; error_page 404 = @streamed; proxy_pass http://{hasty};
            }}
            location @s3 {{ aws_sign; proxy_pass http://s3; }}
            location @unsigned {{ aws_sign; aws_payload unsigned; proxy_pass http://s3; }}
            location @streamed {{
                aws_sign; aws_payload unsigned; proxy_request_buffering off; proxy_pass http://s3;
            }}"
        ),
    );
    for target in ["/x", "/unsigned/x", "/streamed/x"] {
        for headers in [&[][..], &[TRAILER]] {
            for framing in [("Content-Length", "300"), CHUNKED] {
                for sent in [0, 100] {
                    let mut headers = headers.to_vec();
                    headers.push(framing);
                    let mut body = vec![b'x'; sent];
                    if framing == CHUNKED {
                        body = chunks(&body, 50);
                    }
                    let mut client = Connection::open(nginx.addr()).unwrap();
                    client.send(&message("PUT", target, &headers, &body)).unwrap();
                    assert_eq!(client.receive().status, 500, "{target} {headers:?} {sent}");
                }
            }
        }
    }
    assert!(s3.take().is_empty());
    nginx.wait_for_log(
        "aws_sign: the client's body is not there as a whole",
        Duration::from_secs(1),
    );
}

#[test]
fn a_body_that_nginx_gave_up_is_not_sent() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "client_body_buffer_size 64k; error_page 400 413 = @s3;
        location / { client_max_body_size 50k; aws_sign; proxy_pass http://s3; }
        location /unsigned/ {
            client_max_body_size 50k; aws_sign; aws_payload unsigned; proxy_pass http://s3;
        }
        location @s3 { aws_sign; proxy_pass http://s3; }",
    );
    let good = chunks(&[b'x'; 30_000], 10_000);
    for (bad, before) in [("zzz\r\n", true), ("ffffff\r\nabc", true), ("zzz\r\n", false)] {
        let body = [if before { &good[..] } else { b"" }, bad.as_bytes()].concat();
        for target in ["/x", "/unsigned/x"] {
            for headers in [&[CHUNKED][..], &[CHUNKED, TRAILER]] {
                let answer = try_request(nginx.addr(), message("PUT", target, headers, &body));
                let status = answer.map_or(0, |answer| answer.status);
                assert!([0, 400, 413, 500].contains(&status), "{target} {bad:?}: {status}");
            }
        }
    }
    assert!(s3.take().is_empty());
    assert_eq!(
        support::request(
            nginx.addr(),
            message("PUT", "/x", &[CHUNKED], &[&good[..], b"0\r\n\r\n"].concat())
        )
        .status,
        200
    );
    assert_eq!(s3.take()[0].verdict, Ok(()));
}

#[test]
fn a_body_over_http2_that_is_gone_is_not_an_empty_one() {
    let s3 = verifier();
    let app = Verifier::with_responder(Credentials::default(), |_| Answer::new(404, "none"));
    let http2 = SocketAddr::from(([127, 0, 0, 1], support::free_port()));
    let nginx = start(
        &s3,
        &format!(
            "listen {http2} http2; proxy_intercept_errors on;
            location /app/ {{ proxy_request_buffering off; error_page 404 = @s3; proxy_pass http://{app}; }}
            location /app2/ {{
                proxy_request_buffering off; error_page 404 = @unsigned; proxy_pass http://{app};
            }}
            location /large/ {{
                aws_sign; client_max_body_size 1k; error_page 413 = @s3; proxy_pass http://s3;
            }}
            location /buffered/ {{ error_page 404 = @s3; proxy_pass http://{app}; }}
            location @s3 {{ aws_sign; proxy_set_header Content-Length ''; proxy_pass http://s3; }}
            location @unsigned {{
                aws_sign; aws_payload unsigned; proxy_request_buffering off; proxy_pass http://s3;
            }}",
            app = app.addr(),
        ),
    );
    let piece = [b'x'; 3000];
    for target in ["/app/x", "/app2/x", "/large/x"] {
        for headers in [&[][..], &[("content-length", "6000")]] {
            let mut client = support::http2::Connection::open(http2);
            let response = client.send_with("PUT", target, headers, &[&piece, &piece]);
            assert!([500, 413].contains(&response.status), "{target}: {}", response.status);
        }
    }
    assert!(s3.take().is_empty());
    // what is there goes out, but not without its length
    let mut client = support::http2::Connection::open(http2);
    assert_eq!(client.send("PUT", "/buffered/x", &[&piece, &piece]).status, 500);
    assert_eq!(client.send("PUT", "/buffered/x", &[]).status, 200);
    assert_eq!(s3.take()[0].verdict, Ok(()));
    drop(nginx);
}

#[test]
fn a_fallback_that_needs_no_body_has_none() {
    let s3 = verifier();
    let hasty = hasty();
    let nginx = start(
        &s3,
        &format!(
            "proxy_intercept_errors on; proxy_request_buffering off;
            location /without/ {{ error_page 404 = @without; proxy_pass http://{hasty}; }}
            location /set/ {{ error_page 404 = @set; proxy_pass http://{hasty}; }}
            location /get/ {{ error_page 404 = @get; proxy_pass http://{hasty}; }}
            location @without {{
                aws_sign; proxy_pass_request_body off; proxy_set_header Content-Length 0;
                proxy_pass http://s3;
            }}
            location @set {{ aws_sign; proxy_set_body \"a\r\n\r\n\"; proxy_pass http://s3; }}
            location @get {{
                aws_sign; proxy_method GET; proxy_pass_request_body off;
                proxy_set_header Content-Length ''; proxy_pass http://s3;
            }}"
        ),
    );
    for (target, body) in [("/without/x", &b""[..]), ("/set/x", b"a\r\n\r\n"), ("/get/x", b"")] {
        let mut client = Connection::open(nginx.addr()).unwrap();
        let headers = [("Content-Length", "300")];
        client.send(&message("PUT", target, &headers, &[b'x'; 100])).unwrap();
        assert_eq!(client.receive().status, 200, "{target}");
        let received = &s3.take()[0];
        assert_eq!((&received.verdict, &received.body[..]), (&Ok(()), body), "{target}");
    }
}

#[test]
fn a_file_that_was_sent_and_closed_is_not_sent_again() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "location / { post_action @after; proxy_pass http://s3; }
        location /signed/ { aws_sign; post_action @after; proxy_pass http://s3; }
        location /unsigned/ { post_action @unsigned; proxy_pass http://s3; }
        location @after { aws_sign; proxy_pass http://s3; }
        location @unsigned { aws_sign; aws_payload unsigned; proxy_pass http://s3; }",
    );
    let body = vec![b'x'; 300_000];
    for (target, status) in [("/x", 403), ("/signed/x", 200), ("/unsigned/x", 403)] {
        assert_eq!(
            support::request(nginx.addr(), message("PUT", target, &[], &body)).status,
            status
        );
        nginx.wait_for_log(
            &format!("not there as a whole while sending to client, client: 127.0.0.1, server: , request: \"PUT {target} "),
            Duration::from_secs(5),
        );
        assert_eq!(s3.take().len(), 1, "{target}");
    }
    // what is in memory still is
    assert_eq!(
        support::request(nginx.addr(), message("PUT", "/signed/x", &[], b"abc")).status,
        200
    );
    let received = s3.take_when(2, Duration::from_secs(5));
    assert!(received.iter().all(|received| received.verdict.is_ok() && received.body == b"abc"));
}

#[test]
fn what_nothing_streams_is_signed() {
    let s3 = verifier();
    let http2 = SocketAddr::from(([127, 0, 0, 1], support::free_port()));
    let nginx = start(
        &s3,
        &"listen {http2} http2; aws_sign; proxy_request_buffering off;
        location / { proxy_pass http://s3; }
        location /old/ { proxy_http_version 1.0; proxy_pass http://s3; }
        location /without/ {
            proxy_pass_request_body off; proxy_set_header Content-Length 0; proxy_pass http://s3;
        }
        location /set/ { proxy_set_body fixed; proxy_pass http://s3; }
        location /mirrored/ { mirror /copy; proxy_pass http://s3; }
        location /copy { internal; aws_sign off; return 204; }
        location /unsigned/ { aws_payload unsigned; proxy_pass http://s3; }"
            .replace("{http2}", &http2.to_string()),
    );
    for (method, target, headers, body, arrives) in [
        ("GET", "/x", &[CHUNKED][..], &b"0\r\n\r\n"[..], &b""[..]),
        ("GET", "/old/x", &[CHUNKED], b"0\r\n\r\n", b""),
        ("PUT", "/x", &[CHUNKED], b"0\r\n\r\n", b""),
        ("DELETE", "/x", &[], b"", b""),
        ("GET", "/unsigned/x", &[CHUNKED], b"0\r\n\r\n", b""),
        ("PUT", "/without/x", &[], b"abc", b""),
        ("PUT", "/set/x", &[], b"abc", b"fixed"),
        ("PUT", "/set/x", &[CHUNKED], b"3\r\nabc\r\n0\r\n\r\n", b"fixed"),
        ("PUT", "/mirrored/x", &[], b"abc", b"abc"),
    ] {
        let response = support::request(nginx.addr(), message(method, target, headers, body));
        assert_eq!(response.status, 200, "{method} {target} {headers:?}");
        let received = s3.take();
        assert_eq!((received.len(), &received[0].verdict), (1, &Ok(())), "{method} {target}");
        assert_eq!(received[0].body, arrives, "{method} {target}");
    }
    let mut client = support::http2::Connection::open(http2);
    for target in ["/x", "/unsigned/x"] {
        for (method, headers) in [
            ("GET", &[][..]),
            ("GET", &[("content-length", "0")]),
            ("DELETE", &[("content-length", "0")]),
            ("PUT", &[("content-length", "0")]),
        ] {
            // its end comes in a frame of its own
            let response = client.send_with(method, target, headers, &[b""]);
            assert_eq!(response.status, 200, "{method} {target}");
            let received = s3.take();
            assert_eq!((received.len(), &received[0].verdict), (1, &Ok(())), "{method} {target}");
            let hash = received[0].header("X-Amz-Content-Sha256");
            assert_eq!(hash, Some(support::sha256_hex(b"")), "{method} {target}");
        }
    }
    // whether a body is signed does not depend on how fast it comes
    for target in ["/x", "/old/x"] {
        let put = message("PUT", target, &[], b"abc");
        assert_eq!(support::request(nginx.addr(), put).status, 500, "{target}");
    }
    assert!(s3.take().is_empty());
}
