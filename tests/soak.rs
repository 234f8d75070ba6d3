//! Mixed traffic for minutes on end while everything goes wrong: `make soak`.

mod support;

#[path = "soak/servers.rs"]
mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use servers::Servers;
use support::http::{Connection, message};
use support::{Credentials, Nginx, Verifier};

/// What a location may answer besides the right thing.
struct Location {
    path: &'static str,
    put: bool,
    /// The right status, and the errors that are honest there.
    right: Option<u16>,
    honest: &'static [u16],
}

const LOCATIONS: [Location; 11] = [
    Location { path: "/plain/", put: false, right: Some(200), honest: &[] },
    Location { path: "/cached/", put: false, right: Some(200), honest: &[] },
    Location { path: "/sliced/", put: false, right: Some(200), honest: &[] },
    Location { path: "/put/", put: true, right: Some(200), honest: &[] },
    Location { path: "/file/", put: true, right: Some(200), honest: &[] },
    Location { path: "/streamed/", put: true, right: Some(200), honest: &[] },
    Location { path: "/retried/", put: false, right: Some(200), honest: &[502, 504] },
    Location { path: "/refused/", put: false, right: None, honest: &[502] },
    Location { path: "/stalled/", put: false, right: None, honest: &[504] },
    Location { path: "/reset/", put: true, right: None, honest: &[502] },
    Location { path: "/garbage/", put: false, right: None, honest: &[502, 200] },
];

fn configuration(s3: &Verifier, bad: &Servers, generation: u32) -> String {
    format!(
        "{keys} aws_s3_bucket bucket; aws_sign_methods GET PUT;
        # a log that is always full
        error_log /dev/full info;
        error_log {{prefix}}/error.log notice;
        proxy_cache_path {{prefix}}/cache keys_zone=cache:1m max_size=2m inactive=5s;
        proxy_http_version 1.1; proxy_set_header Connection '';
        proxy_read_timeout 500ms; proxy_connect_timeout 500ms;
        upstream s3 {{ server {s3}; keepalive 8; }}
        upstream retried {{
            server {refused} max_fails=0; server {resets} max_fails=0; server {garbage} max_fails=0;
            server {s3} backup;
        }}
        server {{
            listen 127.0.0.1:{{port}}; aws_sign; client_max_body_size 4m;
            add_header X-Generation {generation};
            location / {{ proxy_pass http://s3; }}
            location /cached/ {{ proxy_cache cache; proxy_cache_valid 1s; proxy_pass http://s3; }}
            location /sliced/ {{
                slice 1k; proxy_cache cache; proxy_cache_key $uri$slice_range; proxy_cache_valid 1s;
                proxy_set_header Range $slice_range; proxy_pass http://s3;
            }}
            location /file/ {{ client_body_in_file_only clean; proxy_pass http://s3; }}
            location /streamed/ {{
                aws_payload unsigned; proxy_request_buffering off; proxy_pass http://s3;
            }}
            location /retried/ {{
                proxy_next_upstream error timeout invalid_header; proxy_pass http://retried;
            }}
            location /refused/ {{ proxy_pass http://{refused}; }}
            location /stalled/ {{ proxy_pass http://{stalls}; }}
            location /reset/ {{ proxy_pass http://{resets}; }}
            location /garbage/ {{ proxy_pass http://{garbage}; }}
        }}",
        keys = support::directives(),
        s3 = s3.addr(),
        refused = bad.refused,
        stalls = bad.stalls,
        resets = bad.resets,
        garbage = bad.garbage,
    )
}

/// What the threads share.
struct Shared {
    stop: AtomicBool,
    /// Counted before a worker is killed and when another has taken its place: what is under way
    /// between the two may have no answer.
    kills: AtomicU64,
    answers: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
}

impl Shared {
    fn count(&self, what: String) {
        *self.answers.lock().unwrap().entry(what).or_default() += 1;
    }
}

/// Numbers that look like chance and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Sends requests until it is told to stop.
fn client(nginx: std::net::SocketAddr, seed: u64, shared: &Shared) {
    let mut numbers = Numbers(seed);
    while !shared.stop.load(Ordering::Relaxed) {
        let location = &LOCATIONS[numbers.below(LOCATIONS.len() as u64) as usize];
        let key = format!(
            "{}Gr%C3%BC%C3%9Fe+{}%3F?q={}",
            location.path,
            numbers.below(50),
            numbers.below(3)
        );
        let body =
            if location.put { vec![b'x'; numbers.below(300_000) as usize] } else { Vec::new() };
        let kills = shared.kills.load(Ordering::SeqCst);
        let slow = numbers.below(20) == 0;
        let answer = ask(nginx, location.put, &key, &body, slow);
        // the connections of a killed worker are gone
        let killed = kills % 2 == 1 || shared.kills.load(Ordering::SeqCst) != kills;
        match answer {
            Ok((status, text)) if Some(status) == location.right => {
                let right = servers::object(&key, &body);
                if text != right && !killed {
                    let text: String = text.chars().take(200).collect();
                    shared.wrong.lock().unwrap().push(format!("{key}: {text:?}"));
                }
                shared.count(format!("{} {status}", location.path));
            }
            Ok((status, _)) if location.honest.contains(&status) => {
                shared.count(format!("{} {status}", location.path));
            }
            // what garbage begins as an answer has no end
            Err(_) if killed || ["/garbage/", "/retried/"].contains(&location.path) => {
                shared.count(format!("{} cut off", location.path));
            }
            other => shared.wrong.lock().unwrap().push(format!("{key}: {other:?}")),
        }
    }
}

/// The status and body of an answer that came whole.
fn ask(
    nginx: std::net::SocketAddr,
    put: bool,
    key: &str,
    body: &[u8],
    slow: bool,
) -> std::io::Result<(u16, String)> {
    let mut connection = Connection::open(nginx)?;
    let length = body.len().to_string();
    let headers = [("Content-Length", &*length)];
    let request =
        if put { message("PUT", key, &headers, body) } else { message("GET", key, &[], b"") };
    if slow {
        for piece in request.chunks(request.len() / 4 + 1) {
            connection.send(piece)?;
            thread::sleep(Duration::from_millis(50));
        }
    } else {
        // who refuses a request early answers before all of it is sent
        let _ = connection.send(&request);
    }
    let answer = connection.try_receive(false)?;
    if answer.complete {
        Ok((answer.status, answer.text()))
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// Open files and memory in KiB of the master and of a worker.
fn usage(nginx: &Nginx) -> Option<[u64; 4]> {
    let of = |pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some([files, line.split_whitespace().next()?.parse().ok()?])
    };
    let worker = *nginx.worker_pids().first()?;
    let ([a, b], [c, d]) = (of(nginx.master_pid())?, of(worker)?);
    Some([a, b, c, d])
}

#[test]
#[ignore = "takes minutes: \"make soak\""]
fn soak() {
    let minutes = std::env::var("SOAK_MINUTES").map_or(10.0, |text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let credentials = Credentials { unsigned_payload: true, ..Credentials::default() };
    let s3 = Verifier::with_responder(credentials, servers::answer);
    let bad = Servers::start();
    let mut nginx =
        Nginx::builder().workers(3).log_level("notice").http(&configuration(&s3, &bad, 0)).start();
    let shared = Arc::new(Shared {
        stop: AtomicBool::new(false),
        kills: AtomicU64::new(0),
        answers: Mutex::default(),
        wrong: Mutex::default(),
    });
    let addr = nginx.addr();
    let clients: Vec<_> = (0..16)
        .map(|seed| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || client(addr, seed, &shared))
        })
        .collect();

    let (mut requests, mut generation, mut samples) = (0_u64, 0, Vec::new());
    while Instant::now() < until {
        for second in 0..6 {
            thread::sleep(Duration::from_secs(1));
            for received in s3.take() {
                requests += 1;
                // what a killed worker has begun has no end
                let cut = received.verdict.as_ref().is_err_and(|why| why.ends_with("no end"));
                if received.verdict.is_err() && !cut {
                    let line = String::from_utf8_lossy(&received.raw_head).into_owned();
                    shared.wrong.lock().unwrap().push(format!("{:?}: {line}", received.verdict));
                }
            }
            match second {
                1 => {
                    let pid = *nginx.worker_pids().last().expect("a worker");
                    shared.kills.fetch_add(1, Ordering::SeqCst);
                    support::kill(pid, "KILL");
                    // another takes its place
                    support::wait_until(Duration::from_secs(5), || nginx.worker_pids().len() == 3);
                    shared.kills.fetch_add(1, Ordering::SeqCst);
                }
                3 => {
                    generation += 1;
                    nginx.reload(&configuration(&s3, &bad, generation));
                }
                4 => drop(fs::remove_dir_all(nginx.prefix().join("cache"))),
                5 => samples.extend(usage(&nginx)),
                _ => {}
            }
        }
    }
    shared.stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());

    let answers = shared.answers.lock().unwrap();
    for (what, count) in answers.iter() {
        println!("{count:>9} {what}");
    }
    println!("{requests:>9} requests at the server, all signed");
    let (signed, unsigned) = (&bad.heads.signed, &bad.heads.unsigned);
    println!("{:>9} signed requests at bad servers", signed.load(Ordering::Relaxed));
    assert_eq!(unsigned.load(Ordering::Relaxed), 0, "unsigned requests at bad servers");
    assert!(signed.load(Ordering::Relaxed) > 0);
    println!("{generation:>9} reloads, {} kills", shared.kills.load(Ordering::SeqCst) / 2);
    let wrong = shared.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert!(requests > 0 && answers.len() >= LOCATIONS.len());
    check(&samples);
    // what was done to it, what the cache says of its files that are gone, and of the entries that a
    // killed worker held
    for line in [
        "exited on signal 9",
        "open() \"",
        "unlink() \"",
        "rename() \"",
        "mkdir() \"",
        "ignore long locked inactive cache entry",
    ] {
        nginx.allow_log(line);
    }
}

/// The last samples are like the first: nothing grows with reloads, kills or requests.
fn check(samples: &[[u64; 4]]) {
    let names =
        ["files of the master", "KiB of the master", "files of a worker", "KiB of a worker"];
    let part = samples.len().div_ceil(3);
    for (index, name) in names.into_iter().enumerate() {
        let worst = |samples: &[[u64; 4]]| samples.iter().map(|s| s[index]).max().unwrap();
        let (first, last) = (worst(&samples[..part]), worst(&samples[samples.len() - part..]));
        println!("{first:>9} {name} at first, {last} in the end");
        assert!(last <= first + first / 4 + 16, "{name}: {first} became {last}");
    }
}
