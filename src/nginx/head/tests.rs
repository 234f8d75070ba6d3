use super::*;
use crate::nginx::credential::Credential;
use crate::nginx::methods::Methods;
use crate::sigv4::{AmzDate, Day, Scope, SigningKey};

const DATE: i64 = 1_440_938_160;

fn credential(service: &str) -> Credential {
    let scope = Scope::new(Day::parse(b"20150830").unwrap(), "us-east-1", service).unwrap();
    Credential::new(b"AKIDEXAMPLE", scope, SigningKey::new(&[1; 32]).into(), None)
}

struct Case {
    service: &'static str,
    host: Option<&'static [u8]>,
    client: &'static [&'static str],
    drop_body: bool,
    body: Body,
}

const CASE: Case = Case {
    service: "s3",
    host: Some(b"b.s3.test"),
    client: &[],
    drop_body: false,
    body: Body::NONE,
};

impl Case {
    /// The signed request and the canonical one.
    fn sign(&self, wire: &str) -> Result<(String, String), Refusal> {
        let credential = credential(self.service);
        let rules = Rules {
            credential: &credential,
            date: AmzDate::from_unix(DATE).unwrap(),
            host: self.host,
            drop_body: self.drop_body,
            methods: &Methods::READING,
            passed: &[],
            body: self.body,
        };
        let start = wire.find(' ').map_or(0, |space| space + 1);
        let end = wire.find(" HTTP/").unwrap_or(wire.len()).max(start);
        let foreign = |name: &[u8]| {
            self.client.iter().any(|client| client.as_bytes().eq_ignore_ascii_case(name))
        };
        let mut plan = Plan::new(&rules);
        plan.read(wire.as_bytes(), start..end, Target::encoded, foreign)?;
        let mut buf = vec![0; plan.capacity()];
        let mut canonical = Vec::new();
        let signed = plan.write(&mut buf, |request, _| request.write_to(&mut canonical))?;
        buf.truncate(signed.len);
        let text = String::from_utf8(buf).unwrap();
        assert!(text[signed.authorization.clone()].starts_with("AWS4-HMAC-SHA256 Credential="));
        assert!(text[signed.authorization].contains(&text[signed.signed_headers]));
        assert_eq!(&text[signed.date], "20150830T123600Z");
        assert!([64, "UNSIGNED-PAYLOAD".len()].contains(&signed.content_sha256.len()));
        Ok((text, String::from_utf8(canonical).unwrap()))
    }

    fn lines(&self, wire: &str) -> Vec<String> {
        let (text, _) = self.sign(wire).unwrap();
        text.split("\r\n").map(str::to_owned).collect()
    }
}

#[test]
fn a_head_is_signed_and_the_rest_of_it_passes() {
    let lines = CASE.lines(
        "GET /a b?z&y HTTP/1.0\r\nHost: other\r\nConnection: close\r\nauthorization: Basic x\r\n\
         X-AMZ-Date: 1\r\nx-amz-content-sha256: 2\r\nX-Amz-Security-Token: 3\r\nAccept:  */*\r\n\r\n",
    );
    assert_eq!(lines[0], "GET /a%20b?y=&z= HTTP/1.0");
    assert_eq!(lines[1], "Host: b.s3.test");
    assert_eq!(lines[2], "Connection: close");
    assert_eq!(lines[3], "Accept:  */*");
    assert_eq!(lines[4], "X-Amz-Date: 20150830T123600Z");
    assert!(lines[5].starts_with("X-Amz-Content-Sha256: e3b0c442"));
    assert!(lines[6].starts_with(
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="
    ));
    assert_eq!(lines[7..], ["", ""]);
}

#[test]
fn the_operators_amz_headers_are_signed_and_the_clients_dropped() {
    let case = Case { client: &["x-amz-acl", "X-Amz-Meta-B"], ..CASE };
    let wire = "GET / HTTP/1.1\r\nX-Amz-Request-Payer: requester\r\nx-amz-meta-a: 2\r\n\
                X-AMZ-ACL: public-read\r\nx-amz-meta-b: 1\r\nContent-MD5:  x  y \r\n\r\n";
    let (text, canonical) = case.sign(wire).unwrap();
    assert!(!text.contains("public-read"));
    assert!(!text.contains("x-amz-meta-b"));
    assert!(text.contains("X-Amz-Request-Payer: requester\r\n"));
    assert_eq!(
        canonical.split('\n').skip(3).take(6).collect::<Vec<_>>(),
        [
            "content-md5:x y",
            "host:b.s3.test",
            "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "x-amz-date:20150830T123600Z",
            "x-amz-meta-a:2",
            "x-amz-request-payer:requester",
        ]
    );
}

#[test]
fn a_tab_in_what_is_signed_goes_out_as_a_space() {
    let wire = "GET / HTTP/1.1\r\nx-amz-meta-a: 0\r\nX-Amz-Meta-A: a\tb \t c\r\nAccept: a\tb\r\nx-amz-meta-a: d\r\n\
                Content-MD5:\tx\ty\t\r\nX-Amz-Meta-Z: \t\r\n\r\n";
    for service in ["s3", "other"] {
        let (text, canonical) = Case { service, ..CASE }.sign(wire).unwrap();
        for line in ["X-Amz-Meta-A: a b   c", "Accept: a\tb", "x-amz-meta-a: d", "Content-MD5: x y"]
        {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}: {text}");
        }
        // values of one name are signed in the order in which they go out
        assert!(canonical.contains("\ncontent-md5:x y\n"), "{canonical}");
        assert!(canonical.contains("\nx-amz-meta-a:0,a b c,d\nx-amz-meta-z:\n"), "{canonical}");
        assert!(text.find("X-Amz-Meta-A: a b") < text.find("x-amz-meta-a: d"));
        assert!(text.find("x-amz-meta-a: 0") < text.find("X-Amz-Meta-A: a b"));
    }
}

#[test]
fn without_a_host_of_ours_the_one_of_nginx_is_signed() {
    let case = Case { host: None, ..CASE };
    let (text, canonical) = case.sign("GET / HTTP/1.1\r\nHOST:  up.test:81 \r\n\r\n").unwrap();
    assert!(text.contains("\r\nHost: up.test:81\r\n"));
    assert!(canonical.contains("\nhost:up.test:81\n"));
    for wire in [
        "GET / HTTP/1.1\r\nAccept: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    ] {
        assert_eq!(case.sign(wire).unwrap_err(), Refusal::Host);
    }
}

#[test]
fn other_services_sign_a_normal_path_and_send_the_one_they_got() {
    let case = Case { service: "execute-api", ..CASE };
    let (text, canonical) = case.sign("GET /a//b/../c d/ HTTP/1.1\r\n\r\n").unwrap();
    assert!(text.starts_with("GET /a//b/../c%20d/ HTTP/1.1\r\n"));
    assert!(canonical.starts_with("GET\n/a/c%2520d/\n\n"));
}

#[test]
fn a_body_in_the_buffer_is_hashed_and_an_announced_one_is_not_awaited() {
    let (text, canonical) = CASE.sign("GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    assert!(text.ends_with("\r\n\r\nabc") && text.contains("Content-Length: 3\r\n"));
    assert!(
        canonical.ends_with("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );

    let announced = "GET / HTTP/1.1\r\nContent-Length: 3\r\nAccept: x\r\n\r\n";
    assert_eq!(CASE.sign(announced).unwrap_err(), Refusal::Body);
    let chunked = "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(CASE.sign(chunked).unwrap_err(), Refusal::Body);
    assert!(CASE.sign("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").is_ok());

    let dropping = Case { drop_body: true, ..CASE };
    assert_eq!(dropping.lines(announced)[2], "Accept: x");
    assert!(dropping.sign(chunked).is_ok());
    // one that "proxy_set_body" made stays
    let set = "GET / HTTP/1.1\r\nContent-Length: 3\r\nAccept: x\r\n\r\nabc";
    assert_eq!(dropping.lines(set)[2..4], ["Accept: x", "Content-Length: 3"]);
}

#[test]
fn a_body_of_another_length_than_announced_is_refused() {
    for head in [
        "",
        "Content-Length: 2\r\n",
        "Content-Length: 4\r\n",
        "Content-Length: x\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let wire = format!("GET / HTTP/1.1\r\n{head}\r\nabc");
        assert_eq!(CASE.sign(&wire).unwrap_err(), Refusal::Body, "{head}");
    }
    let twice = "GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(CASE.sign(twice).unwrap_err(), Refusal::MalformedHeader);
}

#[test]
fn what_two_servers_might_read_in_two_ways_is_refused() {
    for line in [
        "a",
        ": b",
        "a : b",
        " a: b",
        "\ta: b",
        "a b: c",
        "a: b\rc: d",
        "a: b\nc: d",
        "a: \0",
        "a: b\r\n folded",
        "a\x7f: b",
        "a: \x01",
        "a: b\x7f",
        "",
    ] {
        let wire = format!("GET / HTTP/1.1\r\n{line}\r\nx: y\r\n\r\n");
        if line.is_empty() {
            assert_eq!(CASE.sign(&wire).unwrap_err(), Refusal::Body, "the head ends here");
        } else {
            assert_eq!(CASE.sign(&wire).unwrap_err(), Refusal::MalformedHeader, "{line:?}");
        }
    }
    // a name that would end the list of signed headers, or begin another
    for name in ["x-amz-a;host", "x-amz-a,signature=0", "x-amz-\u{fc}", "x-amz-a="] {
        let wire = format!("GET / HTTP/1.1\r\n{name}: b\r\n\r\n");
        assert_eq!(CASE.sign(&wire).unwrap_err(), Refusal::MalformedHeader, "{name:?}");
    }
    for cut in ["", "a: b", "a: b\r", "a: b\r\n"] {
        let wire = format!("GET / HTTP/1.1\r\n{cut}");
        assert_eq!(CASE.sign(&wire).unwrap_err(), Refusal::MalformedHeader, "{cut:?}");
    }
}

#[test]
fn what_is_no_http_1_get_is_refused() {
    for wire in
        ["", "GET", "GET /", "GET / HTTP/2.0\r\n\r\n", "\x01\x01\0\x01\0\x08\0\0", "get key\r\n"]
    {
        assert_eq!(CASE.sign(wire).unwrap_err(), Refusal::NotHttp1, "{wire:?}");
    }
    for method in ["PUT", "DELETE", "POST", "GETS"] {
        let wire = format!("{method} / HTTP/1.1\r\n\r\n");
        assert_eq!(CASE.sign(&wire).unwrap_err(), Refusal::Method, "{method}");
    }
}

#[test]
fn many_headers_and_parameters_fit_the_capacity() {
    let mut wire = String::from("HEAD /%!");
    wire.push_str(&"\u{fc}".repeat(500));
    wire.push_str("?z");
    (0..90).for_each(|n| wire.push_str(&format!("&{}=\u{fc}+", 99 - n)));
    wire.push_str(" HTTP/1.1\r\n");
    (0..90).for_each(|n| wire.push_str(&format!("X-Amz-Meta-{n}: {n}\r\nAuthorization: {n}\r\n")));
    wire.push_str("\r\n");
    for service in ["s3", "other"] {
        let (text, _) = Case { service, ..CASE }.sign(&wire).unwrap();
        assert!(!text.contains("Authorization: 8"));
        assert!(text.contains("X-Amz-Meta-89: 89\r\n"));
    }
}

#[test]
fn a_body_behind_the_head_is_signed_by_its_hash_and_length() {
    let body = Body::Whole { len: 3, hash: PayloadHash::of(b"abc") };
    let behind = Case { body, ..CASE };
    let wire = "GET / HTTP/1.1\r\nContent-Length: 3\r\nAccept: x\r\n\r\n";
    let (text, canonical) = behind.sign(wire).unwrap();
    assert!(text.contains("\r\nContent-Length: 3\r\n") && text.ends_with("\r\n\r\n"));
    assert!(
        canonical.ends_with("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
    for other in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        assert_eq!(behind.sign(other).unwrap_err(), Refusal::Body, "{other:?}");
    }
    let unsigned = Body::Whole { len: 3, hash: PayloadHash::Unsigned };
    let streamed = Body::Streamed(PayloadHash::Unsigned);
    let chunked = "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let silent = "GET / HTTP/1.1\r\n\r\n";
    for body in [unsigned, streamed] {
        let case = Case { body, ..CASE };
        let (_, canonical) = case.sign(wire).unwrap();
        assert!(canonical.ends_with("\nUNSIGNED-PAYLOAD"));
        // what the server does not know of, it takes for the next request
        for bad in [chunked, silent] {
            assert_eq!(case.sign(bad).unwrap_err(), Refusal::Body, "{body:?} {bad:?}");
        }
    }
    let longer = "GET / HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
    assert_eq!(Case { body: unsigned, ..CASE }.sign(longer).unwrap_err(), Refusal::Body);
    assert!(Case { body: streamed, ..CASE }.sign(longer).is_ok());
}
