//! The test support tested: what it accepts, what it refuses, that nothing outlives it.

mod support;
#[path = "support/selftest/verifier.rs"]
mod verifier;

use std::time::Duration;

use support::verifier::{Credentials, Verifier};
use support::{ACCESS_KEY, Nginx, Request, S3Server, SECRET_KEY, get_with, http, request};

const HOST: &str = "bucket.s3.test";

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn s3_server_verifies() {
    const FILES: support::s3::Buckets<'_> = &[("bucket", &[("a b/c", b"hello"), ("d", b"")])];
    const KEYS: support::s3::Buckets<'_> = &[(
        "bucket",
        &[("a b/c", b"hello"), ("a//b", b"two"), ("a/../b", b"dots"), ("/a\nb", b"lead")],
    )];
    let good = Credentials::default();
    let other = Credentials { secret_key: "other".to_owned(), ..Credentials::default() };
    for server in [
        S3Server::start(ACCESS_KEY, SECRET_KEY, "s3.test", FILES),
        S3Server::start_in_memory(ACCESS_KEY, SECRET_KEY, "s3.test", KEYS),
    ] {
        let ask = |r: Request<'_>, credentials| request(server.addr(), r.signed(credentials));
        assert_eq!(ask(Request::get(HOST, "/a%20b/c"), &good).text(), "hello");
        assert_eq!(ask(Request::get("s3.test", "/bucket/a%20b/c"), &good).text(), "hello");
        let ip = server.addr().to_string();
        assert_eq!(ask(Request::get(&ip, "/bucket/a%20b/c"), &good).text(), "hello");
        let head = ask(Request { method: "HEAD", ..Request::get(HOST, "/a%20b/c") }, &good);
        assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
        let range = [("range", "bytes=1-2")];
        let part = ask(Request { headers: &range, ..Request::get(HOST, "/a%20b/c") }, &good);
        assert_eq!((part.status, part.text().as_str()), (206, "el"));
        assert_eq!(ask(Request::get(HOST, "/none"), &good).status, 404);
        let list = ask(Request::get(HOST, "/?list-type=2&prefix=a%20b"), &good).text();
        assert!(list.contains("<Key>a b/c</Key>"), "{list}");

        let before = server.requests();
        assert_eq!(before, 7);
        assert_eq!(ask(Request::get(HOST, "/a%20b/c"), &other).status, 403);
        assert_eq!(get_with(server.addr(), "/a%20b/c", &[("Host", HOST)]).status, 403);
        let signed = Request::get(HOST, "/a%20b/c").signed(&good);
        assert_eq!(request(server.addr(), replaced(&signed, "b/c", "b/d")).status, 403);
        assert_eq!(server.requests(), before + 3);
    }
    let server = S3Server::start_in_memory(ACCESS_KEY, SECRET_KEY, "s3.test", KEYS);
    for (target, body) in [("/a//b", "two"), ("/a/../b", "dots"), ("//a%0Ab", "lead")] {
        let response = request(server.addr(), Request::get(HOST, target).signed(&good));
        assert_eq!(response.text(), body, "{target}");
    }
}

#[test]
fn keys_and_directives() {
    // from the AWS documentation of the derivation
    let key = support::raw_signing_key(SECRET_KEY, "20150830", "us-east-1", "iam");
    assert_eq!(
        support::hex(&key),
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    );
    assert_eq!(
        support::signing_key("20150830", "us-east-1", "iam"),
        "xK+xzFdx2HF2Ojk+RLcDVxtVzChCTRpehtpu08FUpLk="
    );
    let today = support::today();
    let scope = format!("aws_key_scope {today}/us-east-1/s3/aws4_request;");
    assert!(support::directives().contains(&scope));
}

fn proxy_to(verifier: &Verifier, path: &str) -> String {
    format!(
        "server {{ listen 127.0.0.1:{{port}}; location {path} {{ proxy_pass http://{}; }} }}",
        verifier.addr()
    )
}

#[test]
fn nginx_starts_reloads_and_stops() {
    let verifier = Verifier::start(Credentials::default());
    let mut nginx =
        Nginx::builder().without_module().workers(2).http(&proxy_to(&verifier, "/a")).start();
    assert!(support::wait_until(Duration::from_secs(5), || nginx.worker_pids().len() == 2));
    assert_eq!(http::get(nginx.addr(), "/a").status, 403);
    assert_eq!(http::get(nginx.addr(), "/b").status, 404);
    assert_eq!(verifier.received().len(), 1);

    let old = nginx.worker_pids();
    nginx.reload(&proxy_to(&verifier, "/b"));
    assert!(nginx.worker_pids().is_disjoint(&old));
    assert_eq!(http::get(nginx.addr(), "/b").status, 403);
    nginx.wait_for_log("reconfiguring", Duration::from_secs(1));
    let (prefix, master) = (nginx.prefix().to_owned(), nginx.master_pid());
    assert!(nginx.stop().contains("exit"));
    assert!(!prefix.exists() && !support::kill(master, "0"));
}

#[test]
fn nginx_is_found_out() {
    let alert = |allow: bool| {
        let nginx = Nginx::builder().without_module().http("").start();
        let worker = *nginx.worker_pids().first().unwrap();
        support::kill(worker, "KILL");
        nginx.wait_for_log("exited on signal 9", Duration::from_secs(5));
        if allow {
            nginx.allow_log("exited on signal 9");
        }
    };
    alert(true);
    assert!(std::panic::catch_unwind(|| alert(false)).is_err());

    let pid = std::sync::Mutex::new(0);
    let failed = std::panic::catch_unwind(|| {
        let nginx = Nginx::builder().without_module().http("").start();
        *pid.lock().unwrap() = nginx.master_pid();
        panic!("the test fails");
    });
    let pid = *pid.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    assert!(failed.is_err() && pid != 0 && !support::kill(pid, "0"));
}

#[test]
fn nginx_tests_configurations() {
    let test =
        |main: &str, http: &str| Nginx::builder().without_module().main(main).http(http).test();
    let (good, stderr) = test("", "server { listen 127.0.0.1:{port}; }");
    assert!(good && stderr.contains("test is successful"), "{stderr}");
    let own = "worker_processes 3; events { worker_connections 16; }\nerror_log stderr notice;";
    let (good, stderr) = test(own, "access_log {prefix}/a.log;\nproxy_temp_path {prefix}/p 1;");
    assert!(good, "{stderr}");
    let (good, stderr) = test("", "no_such_directive;");
    assert!(!good && stderr.contains("unknown directive \"no_such_directive\""), "{stderr}");
}
