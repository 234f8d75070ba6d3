//! Caches and slices: what goes upstream is signed, what is in the cache is not sent at all.

mod support;

use std::thread;
use std::time::Duration;

use support::{ACCESS_KEY, Answer, Credentials, Nginx, Received, S3Server, SECRET_KEY, Verifier};

const TIMEOUT: Duration = Duration::from_secs(10);

fn start(s3: &Verifier, locations: &str) -> Nginx {
    Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        proxy_cache_path {{prefix}}/cache keys_zone=cache:1m;
        upstream s3 {{ server {addr}; keepalive 4; }}
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            proxy_cache cache;
            proxy_cache_valid 200 10m;
            add_header X-Cache $upstream_cache_status always;
            {locations}
        }}",
        keys = support::directives(),
        addr = s3.addr(),
    ))
}

fn methods(received: &[Received]) -> Vec<&str> {
    received
        .iter()
        .map(|received| {
            assert_eq!(received.verdict, Ok(()));
            received.method.as_str()
        })
        .collect()
}

#[test]
fn a_head_becomes_a_get_and_hits_are_not_sent() {
    let s3 = Verifier::start(Credentials::default());
    let nginx = start(
        &s3,
        "location / { proxy_pass http://s3; }
        location /kept/ {
            proxy_cache_convert_head off; proxy_cache_key $request_method$uri;
            proxy_pass http://s3;
        }
        location /uncached/ { proxy_no_cache 1; proxy_cache_bypass 1; proxy_pass http://s3; }",
    );
    let head = support::http::head(nginx.addr(), "/a%20b?x");
    assert_eq!((head.status, head.header("X-Cache")), (200, Some("MISS")));
    assert_eq!(methods(&s3.take()), ["GET"]);
    for _ in 0..3 {
        let get = support::get(nginx.addr(), "/a%20b?x");
        assert_eq!((get.header("X-Cache"), &get.text()[..]), (Some("HIT"), "GET 2f612062 x=\n"));
        let head = support::http::head(nginx.addr(), "/a%20b?x");
        assert_eq!(
            (head.header("X-Cache"), head.header("Content-Length")),
            (Some("HIT"), Some("16"))
        );
    }
    assert!(s3.take().is_empty());

    support::http::head(nginx.addr(), "/kept/x");
    support::get(nginx.addr(), "/kept/x");
    assert_eq!(methods(&s3.take()), ["HEAD", "GET"]);
    assert_eq!(support::http::head(nginx.addr(), "/kept/x").header("X-Cache"), Some("HIT"));
    assert!(s3.take().is_empty());

    for _ in 0..2 {
        assert_eq!(support::http::head(nginx.addr(), "/uncached/x").status, 200);
        assert_eq!(support::get(nginx.addr(), "/uncached/x").status, 200);
    }
    let received = s3.take();
    assert_eq!((methods(&received).len(), received[1].method.as_str()), (4, "GET"));
    // ranges and conditions of the client are for the cache
    let headers = [("Range", "bytes=0-3"), ("If-None-Match", "\"x\"")];
    assert_eq!(support::get_with(nginx.addr(), "/ranged", &headers).status, 200);
    let received = s3.take();
    assert_eq!(methods(&received), ["GET"]);
    assert_eq!((received[0].header("Range"), received[0].header("If-None-Match")), (None, None));
}

#[test]
fn what_expired_is_revalidated() {
    let s3 = Verifier::with_responder(Credentials::default(), |received| {
        if received.verdict.is_ok() && received.header("If-None-Match").is_some() {
            return Answer::new(304, "").header("ETag", "\"e\"");
        }
        Answer::verdict(received)
            .header("ETag", "\"e\"")
            .header("Last-Modified", "Mon, 23 Nov 2020 10:00:00 GMT")
    });
    let nginx = start(
        &s3,
        "location / {
            proxy_cache_valid 200 1s;
            proxy_cache_revalidate on;
            proxy_pass http://s3;
        }
        location /stale/ {
            proxy_cache_valid 200 1s;
            proxy_cache_use_stale updating;
            proxy_cache_background_update on;
            proxy_pass http://s3;
        }",
    );
    for target in ["/x", "/stale/x"] {
        assert_eq!(support::get(nginx.addr(), target).header("X-Cache"), Some("MISS"));
    }
    assert_eq!(methods(&s3.take()), ["GET", "GET"]);
    thread::sleep(Duration::from_millis(2100));

    let again = support::get(nginx.addr(), "/x");
    assert_eq!((again.header("X-Cache"), again.status), (Some("REVALIDATED"), 200));
    let received = s3.take();
    assert_eq!(methods(&received), ["GET"]);
    assert_eq!(received[0].header("If-None-Match").as_deref(), Some("\"e\""));
    assert!(received[0].header("If-Modified-Since").is_some());

    // a HEAD of the client, too, has the whole object updated
    let stale = support::http::head(nginx.addr(), "/stale/x");
    assert_eq!((stale.header("X-Cache"), stale.status), (Some("STALE"), 200));
    assert_eq!(methods(&s3.take_when(1, TIMEOUT)), ["GET"]);
    let updated = || support::get(nginx.addr(), "/stale/x").header("X-Cache") == Some("HIT");
    assert!(support::wait_until(TIMEOUT, updated));
}

#[test]
fn waiting_for_the_same_object_sends_one_request() {
    let s3 = Verifier::with_responder(Credentials::default(), |received| {
        Answer::verdict(received).delay(Duration::from_millis(300))
    });
    let nginx = start(&s3, "location / { proxy_cache_lock on; proxy_pass http://s3; }");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|n| {
                let addr = nginx.addr();
                scope.spawn(move || match n % 2 {
                    0 => support::get(addr, "/a+b"),
                    _ => support::http::head(addr, "/a+b"),
                })
            })
            .collect();
        for client in clients {
            assert_eq!(client.join().unwrap().status, 200);
        }
    });
    assert_eq!(methods(&s3.take()), ["GET"]);
}

#[test]
fn objects_come_in_slices() {
    let object: Vec<u8> = (0..10_007_u32).map(|n| (n % 251) as u8).collect();
    let key = "big (1) + 100%.bin";
    let objects: &[(&str, &[u8])] = &[(key, &object), ("empty", b""), ("small", b"small")];
    let s3 = S3Server::start_in_memory(ACCESS_KEY, SECRET_KEY, "s3.test", &[("bucket", objects)]);
    let nginx = Nginx::start(&format!(
        "{keys}
        aws_s3_bucket bucket;
        aws_endpoint s3.test;
        proxy_cache_path {{prefix}}/cache keys_zone=cache:1m;
        server {{
            listen 127.0.0.1:{{port}};
            aws_sign;
            slice 1000;
            proxy_http_version 1.1;
            proxy_set_header Range $slice_range;
            location / {{ proxy_pass http://{addr}; }}
            location /cached/ {{
                proxy_cache cache;
                proxy_cache_key $uri$slice_range;
                proxy_cache_valid 200 206 1h;
                proxy_pass http://{addr}/;
            }}
        }}",
        keys = support::directives(),
        addr = s3.addr(),
    ));
    let encoded = support::encode_path(key.as_bytes());
    for (prefix, requests) in [("/", 11), ("/cached/", 11), ("/cached/", 0)] {
        let before = s3.requests();
        let whole = support::get(nginx.addr(), format!("{prefix}{encoded}"));
        assert_eq!((whole.status, whole.complete), (200, true));
        assert!(whole.body == object);
        assert_eq!(s3.requests() - before, requests, "{prefix}");
        let part = [("Range", "bytes=2500-4499")];
        let part = support::get_with(nginx.addr(), format!("{prefix}{encoded}"), &part);
        assert_eq!((part.status, &part.body[..]), (206, &object[2500..4500]));
        let small = support::get(nginx.addr(), format!("{prefix}small"));
        assert_eq!((small.status, &small.text()[..]), (200, "small"));
    }
    assert_eq!(support::get(nginx.addr(), "/none").status, 404);
}
