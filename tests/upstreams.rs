//! Where requests go: TLS with SNI, names that are resolved at run time, sockets, kept connections.

mod support;

use std::process::Command;
use std::time::Duration;

use support::http::Connection;
use support::{Credentials, Nginx, Verifier};

#[test]
fn tls_with_the_right_name() {
    const NAME: &str = "bucket.s3.test";
    let s3 = Verifier::start(Credentials::default());
    let certificates = tempfile::tempdir().unwrap();
    support::certificate(certificates.path(), NAME);
    support::certificate(certificates.path(), "front.test");
    let port = support::free_port();
    let nginx = Nginx::builder()
        .http(&format!(
            "{keys}
            aws_s3_bucket bucket;
            aws_endpoint s3.test;
            log_format sni '$ssl_server_name $ssl_session_reused $host';
            upstream s3 {{ server 127.0.0.1:{port}; keepalive 2; }}
            # what S3 has in front: ends TLS, and passes on what it gets
            server {{
                listen 127.0.0.1:{port} ssl;
                server_name {NAME};
                ssl_certificate {dir}/{NAME}.crt;
                ssl_certificate_key {dir}/{NAME}.key;
                access_log {{prefix}}/sni.log sni;
                location / {{
                    proxy_set_header Host $http_host;
                    proxy_pass http://{addr};
                }}
            }}
            server {{
                listen 127.0.0.1:{{port}} ssl http2;
                ssl_certificate {dir}/front.test.crt;
                ssl_certificate_key {dir}/front.test.key;
                aws_sign;
                proxy_ssl_server_name on;
                proxy_ssl_verify on;
                proxy_ssl_trusted_certificate {dir}/{NAME}.crt;
                location / {{ proxy_ssl_name $aws_host; proxy_pass https://s3; }}
                location /kept/ {{
                    proxy_ssl_name {NAME};
                    proxy_http_version 1.1;
                    proxy_set_header Connection '';
                    proxy_pass https://s3;
                }}
                location /wrong/ {{ proxy_ssl_name other.test; proxy_pass https://127.0.0.1:{port}; }}
            }}",
            keys = support::directives(),
            dir = certificates.path().display(),
            addr = s3.addr(),
        ))
        .env("SSL_CERT_FILE", "/dev/null")
        .start();
    let curl = |targets: &[&str]| {
        let url = |target: &&str| format!("https://127.0.0.1:{}{target}", nginx.port());
        let output = Command::new("curl")
            .args(["-sS", "-k", "--http2", "--path-as-is", "-w", " %{http_version} %{http_code}\n"])
            .args(targets.iter().map(url))
            .output()
            .expect("curl");
        String::from_utf8(output.stdout).unwrap()
    };
    let several = curl(&["/a%20b", "/kept/1?x", "/kept/2", "/kept/3", "/x/../b"]);
    assert_eq!(several.matches(" 2 200\n").count(), 5, "{several}");
    let received = s3.take();
    assert_eq!(received.len(), 5);
    for received in received {
        assert_eq!((received.verdict, &received.host[..]), (Ok(()), NAME));
    }
    let log = std::fs::read_to_string(nginx.prefix().join("sni.log")).unwrap();
    assert!(log.lines().all(|line| line.starts_with(NAME) && line.ends_with(NAME)), "{log}");
    assert_eq!(log.lines().count(), 5);

    assert!(curl(&["/wrong/x"]).ends_with(" 2 502\n"));
    assert!(s3.take().is_empty());
}

#[test]
fn names_are_resolved_when_the_request_comes() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        resolver 127.0.0.1:{dns} ipv6=off;
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            location / {{ proxy_pass http://$host:{port}; }}
            location /own/ {{ set $backend s3.test:{port}; proxy_pass http://$backend$request_uri; }}
            location /uri/ {{ set $backend s3.test; proxy_pass http://$backend:{port}/x$uri?v=$arg_v; }}
        }}",
        keys = support::directives(),
        dns = support::name_server(),
        port = s3.port(),
    ));
    for (target, sent) in [
        ("/a%20b?c", "/a%20b?c="),
        ("/own/a%20b%3F?c", "/own/a%20b%3F?c="),
        ("/uri/a+b%3F%25?v=1", "/x/uri/a%2Bb%3F%25?v=1"),
    ] {
        let host = [("Host", "some.bucket.test")];
        let response = support::get_with(nginx.addr(), target, &host);
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        let received = s3.take();
        assert_eq!(received[0].verdict, Ok(()));
        assert_eq!(String::from_utf8_lossy(&received[0].target), sent);
        assert_eq!(received[0].host, "bucket.s3.amazonaws.com");
    }
}

#[test]
fn connections_are_kept() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        upstream s3 {{ server {addr}; keepalive 1; }}
        server {{
            listen 127.0.0.1:{{port}};
            location / {{
                aws_sign;
                proxy_http_version 1.1;
                proxy_set_header Connection '';
                proxy_pass http://s3;
            }}
        }}",
        keys = support::directives(),
        addr = s3.addr(),
    ));
    let mut connection = Connection::open(nginx.addr()).unwrap();
    for n in 0..50 {
        connection.send(format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(connection.receive().status, 200);
    }
    let received = s3.take_when(50, Duration::from_secs(1));
    assert!(received.iter().all(|received| received.verdict.is_ok()));
    assert_eq!(s3.connections(), 1);
}
