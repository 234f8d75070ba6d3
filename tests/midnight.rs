//! The UTC day changes while requests flow. The clock of nginx is set by libfaketime.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use support::http::{Connection, message};
use support::{Answer, Credentials, Nginx, Response, SECRET_KEY, Verifier};

const DAY: u64 = 86_400;
/// How many seconds after the start of a test midnight comes.
fn before() -> u64 {
    4 + u64::from(support::slowness())
}

/// Shortly before some midnight: what the clock is ahead by, and the days that meet there.
struct Midnight {
    offset: u64,
    days: [String; 2],
}

impl Midnight {
    fn soon() -> Midnight {
        let now = support::unix(SystemTime::now()) as u64;
        let midnight = (now / DAY + 3) * DAY;
        let day = |time: u64| support::day(SystemTime::UNIX_EPOCH + Duration::from_secs(time));
        Midnight { offset: midnight - before() - now, days: [day(midnight - 1), day(midnight)] }
    }

    fn start(&self, s3: &Verifier, keys: &str) -> Nginx {
        let library = ["x86_64", "aarch64"]
            .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"))
            .into_iter()
            .find(|file| std::path::Path::new(file).exists())
            .expect("libfaketime: run make test");
        // nginx clears the environment of its workers but for what it is told to keep
        Nginx::builder()
            .main("env LD_PRELOAD; env FAKETIME; env FAKETIME_DONT_FAKE_MONOTONIC;")
            .env("LD_PRELOAD", &library)
            .env("FAKETIME", &format!("+{}s", self.offset))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .http(&format!(
                "aws_access_key AKIDEXAMPLE; aws_s3_bucket bucket; {keys}
                proxy_read_timeout 10s;
                server {{
                    listen 127.0.0.1:{{port}}; aws_sign; aws_sign_methods GET PUT;
                    location / {{ proxy_pass http://{}; }}
                }}",
                s3.addr()
            ))
            .start()
    }

    fn ring(&self, days: &[&str]) -> String {
        days.iter()
            .map(|day| {
                let key = support::signing_key(day, "us-east-1", "s3");
                format!("aws_signing_key {key} {day}/us-east-1/s3/aws4_request;\n")
            })
            .collect()
    }
}

/// A server that judges a request by the day that it names, and takes its time.
fn server() -> Verifier {
    let credentials = Credentials { check_clock: false, ..Credentials::default() };
    Verifier::with_responder(credentials, |received| {
        Answer::verdict(received).delay(Duration::from_millis(200))
    })
}

/// Sends requests without a pause until midnight is well over, and returns the answers.
fn load(nginx: &Nginx) -> Vec<Response> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (over, addr) = (&over, nginx.addr());
                scope.spawn(move || {
                    let mut answers = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        answers.push(support::get(addr, format!("/{client}/{}", answers.len())));
                        thread::sleep(Duration::from_millis(20));
                    }
                    answers
                })
            })
            .collect();
        thread::sleep(
            Duration::from_secs(before() + 3) + Duration::from_millis(500) * support::slowness(),
        );
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// The days of the scopes of what the server received.
fn days(s3: &Verifier) -> Vec<String> {
    let day = |received: &support::Received| {
        assert_eq!(received.verdict, Ok(()));
        received.header("Authorization").unwrap().split('/').nth(1).unwrap().to_owned()
    };
    s3.take().iter().map(day).collect()
}

fn no_request_fails(keys: impl Fn(&Midnight) -> String) {
    let s3 = server();
    let midnight = Midnight::soon();
    let nginx = midnight.start(&s3, &keys(&midnight));
    let answers = load(&nginx);
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let days = days(&s3);
    assert_eq!(days.len(), answers.len());
    for day in &midnight.days {
        assert!(days.iter().filter(|other| *other == day).count() > 10, "{day}: {days:?}");
    }
    assert!(!nginx.stop().contains("[error]"));
}

#[test]
fn a_ring_goes_on_with_the_next_key() {
    no_request_fails(|midnight| midnight.ring(&[&midnight.days[1], &midnight.days[0]]));
}

#[test]
fn a_secret_derives_the_next_key() {
    no_request_fails(|_| format!("aws_secret_key {SECRET_KEY}; aws_region us-east-1;"));
}

#[test]
fn a_ring_that_is_over_refuses() {
    let s3 = server();
    let midnight = Midnight::soon();
    let nginx = midnight.start(&s3, &midnight.ring(&[&midnight.days[0]]));
    let answers = load(&nginx);
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert!(count(200) > 10 && count(503) > 10 && count(200) + count(503) == answers.len());
    assert!(days(&s3).iter().all(|day| *day == midnight.days[0]));
    let log = nginx.stop();
    assert_eq!(log.matches("aws_sign: no signing key is for today").count(), 1);
}

#[test]
fn an_upload_that_ends_after_the_last_key_is_refused() {
    let s3 = server();
    let midnight = Midnight::soon();
    let nginx = midnight.start(&s3, &midnight.ring(&[&midnight.days[0]]));
    let mut upload = Connection::open(nginx.addr()).unwrap();
    upload.send(&message("PUT", "/x", &[("Content-Length", "4")], b"bo")).unwrap();
    thread::sleep(Duration::from_secs(before() + 2));
    upload.send(b"dy").unwrap();
    assert_eq!(upload.receive().status, 500);
    assert!(s3.take().is_empty());
    let log = nginx.stop();
    assert!(log.contains("aws_sign: no signing key is for today"), "{log}");
    assert!(log.contains("aws_sign: there is no credential to sign with"), "{log}");
}

#[test]
fn a_single_key_is_sent_all_the_same() {
    let s3 = server();
    let midnight = Midnight::soon();
    let day = &midnight.days[0];
    let keys = support::directives_for(day, "us-east-1", "s3");
    let nginx = midnight.start(&s3, &keys.replace("aws_access_key AKIDEXAMPLE;", ""));
    let answers = load(&nginx);
    assert!(answers.iter().all(|answer| [200, 403].contains(&answer.status)));
    let refused = s3.take().iter().filter(|received| received.verdict.is_err()).count();
    assert!(refused > 10 && refused < answers.len());
    let log = nginx.stop();
    let complaint =
        format!("aws_sign: the signing key is for {day}, but today is {}", midnight.days[1]);
    assert_eq!(log.matches(&complaint).count(), 1);
}
