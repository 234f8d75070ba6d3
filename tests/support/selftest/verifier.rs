//! What the verifier accepts, and each thing that it refuses.

use std::time::{Duration, SystemTime};

use super::support::verifier::{Answer, Credentials, Verifier};
use super::support::{self, ACCESS_KEY, Connection, Request, Response, SECRET_KEY, http, request};
use super::{HOST, replaced};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer to what `edit` makes of a good request.
fn edited(from: &str, to: &str) -> Response {
    let verifier = Verifier::start(Credentials::default());
    let headers = [("x-amz-meta-a", "a  b")];
    let request = Request { headers: &headers, ..Request::get(HOST, "/a%20b?x=1&y=2") };
    let good = request.signed(&Credentials::default());
    support::request(verifier.addr(), replaced(&good, from, to))
}

#[test]
fn verifier_accepts_what_aws_sigv4_signs() {
    let verifier = Verifier::start(Credentials::default());
    let long = format!("/{}", "a".repeat(70_000));
    for (target, summary) in [
        ("/", "GET 2f \n"),
        ("/a%20b/%C3%BC%FF?prefix=a%2Fb&x=", "GET 2f6120622fc3bcff prefix=a%2Fb&x=\n"),
        ("/a//b/../c/./", "GET 2f612f2f622f2e2e2f632f2e2f \n"),
        ("/?a=1&a=2&a-=0", "GET 2f a=1&a=2&a-=0\n"),
    ] {
        let bytes = Request::get(HOST, target).signed(&Credentials::default());
        let response = request(verifier.addr(), bytes);
        assert_eq!((response.status, response.text()), (200, summary.to_owned()), "{target}");
    }
    assert!(
        support::sign::sign(&Credentials::default(), SystemTime::now(), "GET", &long, &[], "")
            .is_err()
    );

    let put = Request { method: "PUT", body: b"body", ..Request::get(HOST, "/a") };
    assert_eq!(request(verifier.addr(), put.signed(&Credentials::default())).status, 200);
    let head = Request { method: "HEAD", ..Request::get(HOST, "/a") };
    let response = request(verifier.addr(), head.signed(&Credentials::default()));
    assert_eq!((response.status, response.body.len()), (200, 0));

    let last = verifier.take().pop().unwrap();
    assert_eq!((last.method.as_str(), last.host.as_str()), ("HEAD", HOST));
    assert_eq!((last.path_decoded.as_slice(), last.verdict), (&b"/a"[..], Ok(())));
    assert!(verifier.received().is_empty());
}

#[test]
fn verifier_knows_other_services_and_days() {
    let service = Credentials { service: "execute-api".to_owned(), ..Credentials::default() };
    let verifier = Verifier::start(service.clone());
    for target in ["/", "//a/../b/.", "/a%20b/..", "/a/b%20c/"] {
        let response = request(verifier.addr(), Request::get(HOST, target).signed(&service));
        assert_eq!(response.status, 200, "{target}: {}", response.text());
    }

    let then = SystemTime::now() - 3 * DAY;
    let old = Request { time: then, ..Request::get(HOST, "/a") }.signed(&Credentials::default());
    let verifier = Verifier::start(Credentials {
        scope_date: Some(support::day(then)),
        check_clock: false,
        ..Credentials::default()
    });
    let response = request(verifier.addr(), &old);
    assert_eq!(response.status, 200, "{}", response.text());
}

/// Signs without `aws-sigv4`, which cannot sign this.
fn signed_by_hand(target: &str, time: SystemTime, scope_date: &str) -> Vec<u8> {
    let date = support::amz_date(time);
    let hash = support::sha256_hex(b"");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!(
        "GET\n{path}\n{query}\nhost:{HOST}\nx-amz-content-sha256:{hash}\nx-amz-date:{date}\n\n\
         {signed}\n{hash}"
    );
    let scope = format!("{scope_date}/us-east-1/s3/aws4_request");
    let canonical = support::sha256_hex(canonical.as_bytes());
    let string = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}");
    let key = support::raw_signing_key(SECRET_KEY, scope_date, "us-east-1", "s3");
    let signature = support::hex(&support::hmac(&key, string.as_bytes()));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={signed}, \
         Signature={signature}"
    );
    let headers = [
        ("Host", HOST),
        ("X-Amz-Date", &date),
        ("X-Amz-Content-Sha256", &hash),
        ("Authorization", &authorization),
    ];
    http::message("GET", target, &headers, b"")
}

#[test]
fn verifier_accepts_what_aws_sigv4_cannot_sign() {
    let now = SystemTime::now();
    let yesterday = support::day(now - DAY);
    let scoped = Credentials { scope_date: Some(yesterday.clone()), ..Credentials::default() };
    let long = format!("/{}", "a".repeat(70_000));
    for (credentials, target, day) in [
        (Credentials::default(), "/a?b=%FF", support::day(now)),
        (Credentials::default(), long.as_str(), support::day(now)),
        (scoped, "/a?b=c", yesterday),
    ] {
        let verifier = Verifier::start(credentials);
        let good = signed_by_hand(target, now, &day);
        let response = request(verifier.addr(), &good);
        assert_eq!(response.status, 200, "{}", response.text());
        let response = request(verifier.addr(), replaced(&good, "/a", "/b"));
        assert!(response.text().contains("signature"), "{}", response.text());
    }
}

#[test]
fn verifier_refuses_each_defect() {
    assert_eq!(edited("", "").status, 200);
    let day = support::today();
    let tomorrow = support::day(SystemTime::now() + DAY);
    let hash = support::sha256_hex(b"");
    for (from, to, reason) in [
        // what is signed is something else
        ("/a%20b", "/a%20c", "signature"),
        ("x=1", "x=2", "signature"),
        ("GET", "PUT", "signature"),
        ("bucket.s3", "other.s3", "signature"),
        ("a  b", "a b c", "signature"),
        ("Signature=", "Signature=0", "Authorization is"),
        // the target is not canonical
        ("/a%20b", "/a+b", "not canonical"),
        ("/a%20b", "/a%2fb", "not canonical"),
        ("/a%20b", "/a%41b", "not canonical"),
        ("/a%20b", "/a%2Fb", "not canonical"),
        ("/a%20b", "/a%", "not canonical"),
        ("/a%20b", "/a b", "not canonical"),
        ("/a%20b", "/ü", "not canonical"),
        ("/a%20b", "a", "slash"),
        ("x=1&y=2", "y=2&x=1", "not sorted"),
        ("x=1&y=2", "x&y=2", "\"x\" in the query"),
        ("x=1&y=2", "", "in the query"),
        ("x=1", "x=1/2", "not canonical"),
        ("x=1", "x=1=2", "not canonical"),
        ("x=1", "X-Amz-Signature=1", "in the query"),
        ("x=1", "x-amz-expir%65s=1", "not canonical"),
        // headers
        ("host: bucket.s3.test\r\n", "host: \r\n", "empty Host"),
        ("host: bucket.s3.test\r\n", "", "0 Host"),
        ("host:", "Host: a\r\nhost:", "2 Host"),
        ("authorization:", "Authorization: a\r\nauthorization:", "2 Authorization"),
        ("x-amz-date:", "x-amz-date: a\r\nx-amz-date:", "2 X-Amz-Date"),
        ("x-amz-content-sha256:", "x-amz-content-sha256: a\r\nx-amz-content-sha256:", "2 X-Amz-C"),
        ("authorization:", "x-authorization:", "0 Authorization"),
        ("authorization:", "x-amz-security-token: a\r\nauthorization:", "is not signed"),
        ("SignedHeaders=host;", "SignedHeaders=", "Host is not signed"),
        ("SignedHeaders=host;", "SignedHeaders=Host;", "lower case"),
        ("SignedHeaders=host;", "SignedHeaders=host;host;", "not sorted"),
        ("SignedHeaders=host;", "SignedHeaders=host;z;", "not sorted"),
        ("SignedHeaders=host;", "SignedHeaders=accept;host;", "not there"),
        ("SignedHeaders=", "SignedHeaders=authorization;", "Authorization is signed"),
        // scope and date
        (ACCESS_KEY, "AKIDOTHER", "access key"),
        (&format!("{day}/"), &format!("{tomorrow}/"), "scope"),
        ("us-east-1", "us-east-2", "region"),
        ("/s3/", "/s4/", "service"),
        ("aws4_request", "aws5_request", "Authorization is"),
        (&format!("x-amz-date: {day}"), &format!("x-amz-date: {tomorrow}"), "it is"),
        (&format!("x-amz-date: {day}T"), &format!("x-amz-date: {day}t"), "X-Amz-Date is"),
        (&hash, &support::sha256_hex(b"a"), "of the body"),
        (&hash, "UNSIGNED-PAYLOAD", "of the body"),
        // the form of the message
        ("host:", "a: b\nhost:", "bare LF"),
        ("host:", "a: b\rc\r\nhost:", "bare CR"),
        ("host:", "a: b\0c\r\nhost:", "NUL"),
        ("host:", "a: b\x01c\r\nhost:", "control"),
        ("host:", "a: b\r\n c\r\nhost:", "folded"),
        ("host:", "a : b\r\nhost:", "malformed"),
        ("host:", "a\r\nhost:", "malformed"),
        ("HTTP/1.1", "HTTP/2.0", "version"),
        ("GET ", "get ", "method"),
        ("host:", "Content-Length: 0\r\nContent-Length: 0\r\nhost:", "more than one"),
        ("host:", "Content-Length: +0\r\nhost:", "Content-Length \"+0\""),
        ("host:", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\nhost:", "and Transfer"),
        ("host:", "Transfer-Encoding: gzip\r\nhost:", "not chunked"),
        ("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "S3 wants a length"),
        ("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\na", "of the body"),
    ] {
        let response = edited(from, to);
        assert_eq!(response.status, 403, "{from:?} as {to:?}");
        assert!(response.text().contains(reason), "{from:?} as {to:?}: {}", response.text());
    }
}

#[test]
fn verifier_refuses_secrets_and_clocks() {
    let verifier = Verifier::start(Credentials::default());
    let other = Credentials { secret_key: "other".to_owned(), ..Credentials::default() };
    let late = SystemTime::now() - Duration::from_secs(20 * 60);
    for (bytes, reason) in [
        (Request::get(HOST, "/").signed(&other), "signature"),
        (
            Request { time: late, ..Request::get(HOST, "/") }.signed(&Credentials::default()),
            "it is",
        ),
        (http::message("GET", "/", &[], b""), "0 Authorization"),
    ] {
        let response = request(verifier.addr(), bytes);
        assert_eq!(response.status, 403);
        assert!(response.text().contains(reason), "{}", response.text());
    }
}

#[test]
fn verifier_keeps_connections_and_answers_as_told() {
    let verifier = Verifier::with_responder(Credentials::default(), |received| {
        match received.path_decoded.as_slice() {
            b"/drop" => Answer::drop(),
            b"/raw" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
            b"/chunked" => Answer::new(200, "3\r\nabc\r\n0\r\n\r\n")
                .header("Transfer-Encoding", "chunked")
                .delay(Duration::from_millis(10)),
            b"/close" => Answer::new(503, "").close(),
            _ => Answer::verdict(received),
        }
    });
    let mut connection = Connection::open(verifier.addr()).unwrap();
    let message = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.send((message("/a") + &message("/chunked")).as_bytes()).unwrap();
    assert_eq!(connection.receive().status, 403);
    assert_eq!(connection.receive().text(), "abc");
    connection.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!(connection.receive().header("connection"), Some("keep-alive"));
    connection.send(message("/close").as_bytes()).unwrap();
    assert_eq!(connection.receive().status, 503);
    assert!(connection.is_closed());
    assert_eq!(verifier.connections(), 1);

    let response = http::get(verifier.addr(), "/raw");
    assert_eq!((response.text().as_str(), response.complete), ("short", false));
    let error = http::try_request(verifier.addr(), message("/drop")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(verifier.take_when(6, Duration::from_secs(5)).len(), 6);
}
