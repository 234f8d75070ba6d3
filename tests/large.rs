//! Objects of up to 1 GiB, up and down, and the memory that they take.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use support::{ACCESS_KEY, Nginx, S3Server, SECRET_KEY};

const MIB: u64 = 1 << 20;

/// The bytes of a body, one piece after the other.
fn pieces(len: u64) -> impl Iterator<Item = Vec<u8>> {
    const PIECE: u64 = MIB;
    (0..len.div_ceil(PIECE)).map(move |index| {
        let size = PIECE.min(len - index * PIECE);
        (0..size).map(|n| ((n + index * 7) % 251) as u8).collect()
    })
}

fn hash(len: u64) -> String {
    let mut hash = Sha256::new();
    pieces(len).for_each(|piece| hash.update(piece));
    support::hex(&hash.finalize())
}

/// The status of an answer, the length of its body, and its hash.
fn receive(stream: TcpStream) -> (u16, u64, String) {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let (mut len, mut hash, mut buffer) = (0, Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = reader.read(&mut buffer).unwrap();
        if read == 0 {
            return (status, len, support::hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
        len += read as u64;
    }
}

fn put(addr: SocketAddr, target: &str, len: u64, chunked: bool) -> u16 {
    let mut stream = TcpStream::connect(addr).unwrap();
    let framing = if chunked {
        "Transfer-Encoding: chunked".into()
    } else {
        format!("Content-Length: {len}")
    };
    let head =
        format!("PUT {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    for piece in pieces(len) {
        if chunked {
            write!(stream, "{:x}\r\n", piece.len()).unwrap();
        }
        stream.write_all(&piece).unwrap();
        if chunked {
            stream.write_all(b"\r\n").unwrap();
        }
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n").unwrap();
    }
    receive(stream).0
}

fn get(addr: SocketAddr, target: &str) -> (u16, u64, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    receive(stream)
}

/// A line of `/proc/PID/status`, in KiB.
fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends objects of these sizes up and down in every way.
fn up_and_down(sizes: &[u64]) {
    let s3 = S3Server::start(ACCESS_KEY, SECRET_KEY, "s3.test", &[("bucket", &[])]);
    let nginx = Nginx::builder()
        .log_level("error")
        .http(&format!(
            "{keys} aws_s3_bucket bucket; aws_endpoint s3.test; aws_sign_methods GET PUT;
            server {{
                listen 127.0.0.1:{{port}}; aws_sign; client_max_body_size 0;
                proxy_max_temp_file_size 0;
                location / {{ proxy_pass http://{0}; }}
                location /unsigned/ {{
                    aws_payload unsigned; proxy_request_buffering off; proxy_pass http://{0};
                }}
            }}",
            s3.addr(),
            keys = support::directives(),
        ))
        .start();
    let worker = *nginx.worker_pids().first().unwrap();
    assert_eq!(put(nginx.addr(), "/warm", 100_000, false), 200);
    let before = memory_kib(worker, "VmRSS");
    for &len in sizes {
        let expected = hash(len);
        for (target, chunked) in [("/signed", false), ("/signed", true), ("/unsigned/x", false)] {
            let start = Instant::now();
            assert_eq!(put(nginx.addr(), target, len, chunked), 200, "{target}, {len} bytes");
            let up = start.elapsed();
            let received = get(nginx.addr(), target);
            assert_eq!(received, (200, len, expected.clone()), "{target}, {len} bytes");
            report(target, len, chunked, up);
        }
    }
    let peak = memory_kib(worker, "VmHWM");
    println!("memory of the worker: {before} KiB before, {peak} KiB at its peak");
    assert!(peak < before + 2048, "{before} KiB became {peak}");
}

fn report(target: &str, len: u64, chunked: bool, up: Duration) {
    let how = if chunked { "chunked" } else { "with its length" };
    println!("{target}: {len} bytes {how}, {:.1} s up", up.as_secs_f64());
}

#[test]
fn some_mebibytes() {
    up_and_down(&[0, 1, 64 * 1024, 5 * MIB + 1, 32 * MIB]);
}

#[test]
#[ignore = "takes a minute and 3 GiB of disk: \"make test-large\""]
fn a_gibibyte() {
    up_and_down(&[256 * MIB, 1024 * MIB]);
}
