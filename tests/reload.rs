//! Keys are changed while requests flow: none is lost, and nothing is left behind.

mod support;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::http::Connection;
use support::{Answer, Credentials, Nginx, Verifier};

/// The configuration that signs for a region with its key.
fn configuration(s3: &Verifier, region: &str) -> String {
    format!(
        "{keys}
        aws_s3_bucket bucket;
        upstream s3 {{ server {addr}; keepalive 8; }}
        server {{
            listen 127.0.0.1:{{port}};
            keepalive_requests 1000000;
            aws_sign;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            location / {{ proxy_pass http://s3; }}
        }}",
        keys = support::directives_for(&support::today(), region, "s3"),
        addr = s3.addr(),
    )
}

/// A server for each of two regions, whose answers name it.
fn regions() -> [(&'static str, Verifier); 2] {
    ["us-east-1", "eu-west-1"].map(|region| {
        let credentials = Credentials { region: region.to_owned(), ..Credentials::default() };
        let answer = move |received: &support::Received| match &received.verdict {
            Ok(()) => Answer::new(200, region),
            Err(reason) => Answer::new(403, reason.clone()),
        };
        (region, Verifier::with_responder(credentials, answer))
    })
}

#[test]
fn a_change_of_keys_under_load_loses_no_request() {
    let regions = regions();
    let configurations = regions.each_ref().map(|(region, s3)| configuration(s3, region));
    let mut nginx =
        Nginx::builder().workers(2).log_level("notice").http(&configurations[0]).start();
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let addr = nginx.addr();
    thread::scope(|scope| {
        for kept in [true, true, false, false] {
            let (stop, done) = (&stop, &done);
            scope.spawn(move || {
                let mut connection = None::<Connection>;
                while !stop.load(Ordering::Relaxed) {
                    let n = done.fetch_add(1, Ordering::Relaxed);
                    let close = if kept { "" } else { "Connection: close\r\n" };
                    let request = format!("GET /{n}%20a HTTP/1.1\r\nHost: x\r\n{close}\r\n");
                    // nginx may close a kept connection between two requests when it reloads
                    for attempt in 0.. {
                        let mut fresh = false;
                        let open = connection.as_mut().filter(|_| kept && attempt == 0);
                        let response = match open {
                            Some(connection) => ask(connection, &request),
                            None => {
                                fresh = true;
                                ask(connection.insert(Connection::open(addr).unwrap()), &request)
                            }
                        };
                        match response {
                            Some(response) => {
                                assert_eq!(response.status, 200, "{}", response.text());
                                if response.header("Connection") == Some("close") {
                                    connection = None;
                                }
                                break;
                            }
                            None => assert!(!fresh && attempt == 0, "a request was lost"),
                        }
                    }
                }
            });
        }
        for round in 0..20 {
            let region = (round + 1) % 2;
            nginx.reload(&configurations[region]);
            thread::sleep(Duration::from_millis(30));
            let before = done.load(Ordering::Relaxed);
            assert_eq!(support::get(addr, "/x").text(), regions[region].0);
            assert!(support::wait_until(Duration::from_secs(5), || {
                done.load(Ordering::Relaxed) > before
            }));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(done.load(Ordering::Relaxed) > 100);
}

/// Nothing when the connection is closed before the first byte of an answer.
fn ask(connection: &mut Connection, request: &str) -> Option<support::Response> {
    connection.send(request.as_bytes()).ok()?;
    connection.try_receive(false).ok()
}

#[test]
fn requests_in_flight_finish_with_the_old_key() {
    let s3 = Verifier::with_responder(Credentials::default(), |received| {
        Answer::verdict(received).delay(Duration::from_millis(700) * support::slowness())
    });
    let mut nginx = Nginx::start(&configuration(&s3, "us-east-1"));
    let addr = nginx.addr();
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..5).map(|n| scope.spawn(move || support::get(addr, format!("/{n}")))).collect();
        thread::sleep(Duration::from_millis(200) * support::slowness());
        nginx.reload("server { listen 127.0.0.1:{port}; return 204; }");
        assert_eq!(support::get(addr, "/x").status, 204);
        for client in clients {
            let response = client.join().unwrap();
            assert_eq!((response.status, response.complete), (200, true));
        }
    });
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let s3 = Verifier::start(Credentials::default());
    let mut nginx = Nginx::start(&configuration(&s3, "us-east-1"));
    nginx.allow_log("invalid value in \"aws_signing_key\" directive");
    let workers = nginx.worker_pids();
    nginx.write_conf("aws_signing_key nonsense;");
    nginx.signal("HUP");
    nginx.wait_for_log("invalid value in \"aws_signing_key\" directive", Duration::from_secs(10));
    assert_eq!(support::get(nginx.addr(), "/x").status, 200);
    assert_eq!(nginx.worker_pids(), workers);
    nginx.reload(&configuration(&s3, "us-east-1"));
    assert_eq!(support::get(nginx.addr(), "/x").status, 200);
}

/// Resident memory in kB, and open files.
fn resources(pid: u32) -> (usize, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let size = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (size, fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count())
}

#[test]
fn a_hundred_reloads_leave_nothing_behind() {
    let regions = regions();
    let configurations = regions.each_ref().map(|(region, s3)| configuration(s3, region));
    let mut nginx = Nginx::builder().log_level("notice").http(&configurations[0]).start();
    let mut measured = Vec::new();
    for round in 1..=110 {
        nginx.reload(&configurations[round % 2]);
        if round == 10 || round == 110 {
            assert_eq!(support::get(nginx.addr(), "/x").status, 200);
            // the old workers' channels close when they are gone
            thread::sleep(Duration::from_millis(300));
            measured.push(resources(nginx.master_pid()));
        }
    }
    let ((before, files_before), (after, files_after)) = (measured[0], measured[1]);
    // memcheck keeps what was freed for a while
    let more = if support::slowness() > 1 { 40_000 } else { 400 };
    assert!(after < before + more, "{before} kB became {after} kB");
    assert!(files_after <= files_before + 1, "{files_before} files became {files_after}");
}
