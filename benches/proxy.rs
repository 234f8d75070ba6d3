//! What signing costs nginx: the CPU time of a worker per request, with and without `aws_sign`.
//!
//! One nginx proxies to another, which answers at once. The locations that are compared take turns,
//! round by round, so that whatever else the machine does falls on all of them alike. The worker has
//! a core of its own, the upstream and the load share another, lest they take the worker's caches.
//! The worker's CPU time is the operating system's own count, the load comes from `wrk`.

#[path = "../tests/support/mod.rs"]
mod support;

mod report;

use std::fs;
use std::process::Command;

use support::Nginx;

/// The locations, in the order of their turns, and which of them each is compared with.
const LOCATIONS: [Location; 4] = [
    Location { name: "proxied, unsigned", path: "/unsigned/", base: None },
    Location { name: "proxied, signed", path: "/signed/", base: Some(0) },
    Location { name: "cache hit, unsigned", path: "/cached/", base: None },
    Location { name: "cache hit, signed", path: "/cached-signed/", base: Some(2) },
];

const ROUNDS: usize = 30;
const SECONDS: f64 = 1.0;
const CONNECTIONS: &str = "16";

/// A location of the nginx under test.
pub struct Location {
    name: &'static str,
    path: &'static str,
    base: Option<usize>,
}

fn main() {
    // "cargo test --benches" only wants to know that it runs
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    if Command::new("wrk").arg("-v").output().is_err() {
        eprintln!("proxy: wrk is not installed: run \"make bench\"");
        std::process::exit(1);
    }
    let upstream = Nginx::builder()
        .log_level("error")
        .main("worker_processes 1; worker_cpu_affinity 10;")
        .http("server { listen 127.0.0.1:{port}; keepalive_requests 1000000000; return 200 ok; }")
        .start();
    let nginx = Nginx::builder()
        .log_level("error")
        .main("worker_processes 1; worker_cpu_affinity 01;")
        .http(&configuration(&upstream))
        .start();
    let worker = *nginx.worker_pids().first().expect("a worker");

    let mut samples = vec![Vec::new(); LOCATIONS.len()];
    let mut memory = Vec::new();
    for round in 0..=rounds {
        for (location, samples) in LOCATIONS.iter().zip(&mut samples) {
            let url = format!("http://{}{}some/object-name.jpg", nginx.addr(), location.path);
            let sample = load(worker, &url);
            // the first round warms caches and connections
            if round > 0 {
                samples.push(sample);
            }
        }
        memory.push(resident_kib(worker));
        eprint!("\rround {round} of {rounds} ");
    }
    eprintln!();
    report::report(&LOCATIONS, &samples, &memory);
}

fn configuration(upstream: &Nginx) -> String {
    let keys = support::directives();
    format!(
        "{keys}
        aws_s3_bucket examplebucket;
        proxy_http_version 1.1;
        proxy_set_header Connection '';
        proxy_cache_path {{prefix}}/cache keys_zone=cache:1m;
        proxy_cache_valid 1h;
        keepalive_requests 1000000000;
        upstream s3 {{ server {upstream}; keepalive 32; keepalive_requests 1000000000; }}
        server {{
            listen 127.0.0.1:{{port}};
            location /unsigned/ {{ proxy_pass http://s3; }}
            location /signed/ {{ proxy_pass http://s3; aws_sign; }}
            location /cached/ {{ proxy_pass http://s3; proxy_cache cache; }}
            location /cached-signed/ {{ proxy_pass http://s3; proxy_cache cache; aws_sign; }}
        }}",
        upstream = upstream.addr()
    )
}

/// Loads a location for a while; the worker's CPU time per request in microseconds.
fn load(worker: u32, url: &str) -> f64 {
    let before = cpu_ns(worker);
    let duration = format!("{SECONDS}s");
    let arguments = ["-c", "1", "wrk", "-t", "1", "-c", CONNECTIONS, "-d", &duration, url];
    let output = Command::new("taskset").args(arguments).output().expect("taskset runs");
    let used = cpu_ns(worker) - before;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.contains("Non-2xx"), "wrk: {text}");
    let line = text.lines().find(|line| line.contains(" requests in ")).expect("a count");
    let count: u64 = line.split_whitespace().next().unwrap().parse().expect("a number");
    used as f64 / 1000.0 / count as f64
}

/// The CPU time that a process has had, in nanoseconds.
fn cpu_ns(pid: u32) -> u64 {
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("a live process");
    schedstat.split_whitespace().next().unwrap().parse().unwrap()
}

/// The memory that a process has resident, in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
