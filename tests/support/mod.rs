//! What the integration tests are built from: a real nginx, servers behind it and a client.
// each test binary uses a part of this
#![allow(dead_code, unused_imports)]

pub mod files;
pub mod http;
pub mod http2;
pub mod http3;
pub mod memory;
pub mod nginx;
pub mod s3;
pub mod sign;
pub mod verifier;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use sha2::{Digest as _, Sha256};

pub use http::{Connection, Response, get, get_with, request};
pub use nginx::Nginx;
pub use s3::S3Server;
pub use sign::Request;
pub use verifier::{Answer, Credentials, Received, Verifier};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const REGION: &str = "us-east-1";
pub const SERVICE: &str = "s3";

/// The day in UTC, as `yyyymmdd`.
pub fn today() -> String {
    day(SystemTime::now())
}

/// The day of `time` in UTC, as `yyyymmdd`.
pub fn day(time: SystemTime) -> String {
    amz_date(time)[..8].to_owned()
}

/// `time` as it stands in `X-Amz-Date`.
pub fn amz_date(time: SystemTime) -> String {
    let t = DateTime::<Utc>::from_timestamp(unix(time), 0).unwrap();
    let (year, month, day) = (t.year(), t.month(), t.day());
    let (hour, minute, second) = (t.hour(), t.minute(), t.second());
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Seconds since 1970.
pub fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// The signing key that [`SECRET_KEY`] has for a scope, in base64.
pub fn signing_key(date: &str, region: &str, service: &str) -> String {
    BASE64_STANDARD.encode(raw_signing_key(SECRET_KEY, date, region, service))
}

/// The signing key of `secret` for a scope.
pub fn raw_signing_key(secret: &str, date: &str, region: &str, service: &str) -> Vec<u8> {
    [date, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()))
}

pub fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Every byte that the canonical form escapes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b'/');

/// `bytes` in the canonical form of a part of a query, where slashes are escaped.
pub fn encode(bytes: &[u8]) -> String {
    percent_encoding::percent_encode(bytes, ESCAPED).to_string()
}

/// `path` in the canonical form of S3.
pub fn encode_path(path: &[u8]) -> String {
    percent_encoding::percent_encode(path, ESCAPED_IN_PATH).to_string()
}

/// The bytes that `encoded` stands for; a `+` is a plus.
pub fn decode(encoded: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(encoded).collect()
}

/// The directives that sign with [`SECRET_KEY`] today.
pub fn directives() -> String {
    directives_for(&today(), REGION, SERVICE)
}

/// The directives that sign with [`SECRET_KEY`] for a scope.
pub fn directives_for(date: &str, region: &str, service: &str) -> String {
    let key = signing_key(date, region, service);
    format!(
        "aws_access_key {ACCESS_KEY};\n\
         aws_key_scope {date}/{region}/{service}/aws4_request;\n\
         aws_signing_key {key};\n"
    )
}

/// A port of 127.0.0.1 that nobody listens on, below those that the system gives to clients.
pub fn free_port() -> u16 {
    listen().local_addr().unwrap().port()
}

/// Listens on such a port.
pub fn listen() -> TcpListener {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // other test processes run at the same time
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let next = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % COUNT).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    }
    panic!("no port is free");
}

/// Writes `name.crt` and `name.key` to `dir`.
pub fn certificate(dir: &Path, name: &str) {
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName=DNS:{name}"), "-out"])
        .arg(dir.join(format!("{name}.crt")))
        .arg("-keyout")
        .arg(dir.join(format!("{name}.key")))
        .output()
        .expect("openssl");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
}

/// A DNS server that answers each question for an IPv4 address with 127.0.0.1.
pub fn name_server() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut packet) {
            let mut answer = packet[..len].to_vec();
            // a response, recursion available, one answer, nothing else
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            // the name of the question, type A, class IN, 60 seconds
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            let _ = socket.send_to(&answer, from);
        }
    });
    port
}

/// Sends the signal (`QUIT`, `HUP`, ...) to a process.
pub fn kill(pid: u32, signal: &str) -> bool {
    // the shell's own kill, as not every system has the other one
    let command = format!("kill -{signal} {pid} 2>/dev/null");
    Command::new("sh").arg("-c").arg(command).status().is_ok_and(|status| status.success())
}

/// How many times as long as usual things may take, as under valgrind (`TEST_SLOWNESS`).
pub fn slowness() -> u32 {
    std::env::var("TEST_SLOWNESS").map_or(1, |times| times.parse().unwrap())
}

/// Whether `condition` comes true before `timeout` is over.
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout * slowness();
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
