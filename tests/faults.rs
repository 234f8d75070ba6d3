//! What goes wrong in the middle of an upload.

mod support;

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use support::http::{Connection, message, try_request};
use support::{Credentials, Nginx, Verifier};

const SECOND: Duration = Duration::from_secs(1);

fn locations(s3: SocketAddr, more: &str) -> String {
    format!(
        "{keys} aws_s3_bucket bucket; aws_sign_methods GET PUT;
        upstream s3 {{ server {s3}; }}
        server {{
            listen 127.0.0.1:{{port}}; aws_sign; client_max_body_size 20m;
            location / {{ proxy_pass http://s3; }}
            location /streamed/ {{
                aws_payload unsigned; proxy_request_buffering off; proxy_pass http://s3;
            }}
            {more}
        }}",
        keys = support::directives(),
    )
}

fn start(s3: &Verifier, more: &str) -> Nginx {
    Nginx::builder().log_level("info").http(&locations(s3.addr(), more)).start()
}

fn verifier() -> Verifier {
    Verifier::start(Credentials { unsigned_payload: true, ..Credentials::default() })
}

fn put(target: &str, length: usize, body: &[u8]) -> Vec<u8> {
    message("PUT", target, &[("Content-Length", &length.to_string())], body)
}

/// Files, sockets and pipes that a process has open.
fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A good upload, to see that the worker is well.
fn check(nginx: &Nginx, s3: &Verifier) {
    s3.take();
    let body = vec![b'b'; 50_000];
    assert_eq!(support::request(nginx.addr(), put("/good", body.len(), &body)).status, 200);
    let received = s3.take();
    assert!(received.len() == 1 && received[0].verdict.is_ok() && received[0].body == body);
}

#[test]
fn a_client_leaves() {
    let s3 = verifier();
    let nginx =
        start(&s3, "location /file/ { client_body_in_file_only clean; proxy_pass http://s3; }");
    let worker = *nginx.worker_pids().first().unwrap();
    let piece = vec![b'x'; 60_000];
    let mut before = None;
    for round in 0..60 {
        for target in ["/x", "/file/x", "/streamed/x"] {
            let mut leaving = Connection::open(nginx.addr()).unwrap();
            leaving.send(&put(target, 1_000_000, &piece)).unwrap();
            if round % 2 == 0 {
                leaving.finish_sending();
                // of what is streamed, the upstream's answer may come
                assert!(leaving.is_closed() || target == "/streamed/x");
            }
        }
        if round == 10 {
            check(&nginx, &s3);
            before = Some((open_files(worker), resident_kib(worker)));
        }
    }
    let (files, memory) = before.unwrap();
    let closed = support::wait_until(5 * SECOND, || open_files(worker) <= files);
    assert!(closed, "{files} open files became {}", open_files(worker));
    let more = 1024 * support::slowness() as usize;
    assert!(resident_kib(worker) < memory + more, "{memory} KiB became {}", resident_kib(worker));
    // what was streamed got as far as its client
    for received in s3.take() {
        assert!(received.target == b"/streamed/x" && received.body.len() < 1_000_000);
        assert_eq!(received.header("X-Amz-Content-Sha256").as_deref(), Some("UNSIGNED-PAYLOAD"));
    }
    check(&nginx, &s3);
    nginx.wait_for_log("client prematurely closed connection", SECOND);
}

#[test]
fn a_body_is_not_what_was_announced() {
    let s3 = verifier();
    let nginx = start(
        &s3,
        "location /stalled/ { client_body_timeout 300ms; proxy_pass http://s3; }
        location /small/ { client_max_body_size 1k; proxy_pass http://s3; }",
    );
    let addr = nginx.addr();
    // longer: the rest is another request, and none
    let mut longer = Connection::open(addr).unwrap();
    let head = [("Content-Length", "4"), ("Connection", "keep-alive")];
    longer.send(&message("PUT", "/longer", &head, b"bodyGET / evil HTTP/1.1\r\n\r\n")).unwrap();
    assert_eq!(longer.receive().status, 200);
    assert_eq!(longer.receive().status, 400);
    let received = s3.take();
    assert_eq!(
        (received.len(), &received[0].verdict, &received[0].body[..]),
        (1, &Ok(()), &b"body"[..])
    );

    // shorter
    let mut shorter = Connection::open(addr).unwrap();
    shorter.send(&put("/shorter", 10, b"body")).unwrap();
    shorter.finish_sending();
    assert!(shorter.is_closed());
    let mut stalled = Connection::open(addr).unwrap();
    stalled.send(&put("/stalled/x", 10, b"body")).unwrap();
    assert!(stalled.is_closed());

    // chunks that are none, too many bytes, two lengths
    let chunked = [("Transfer-Encoding", "chunked")];
    let mut much = b"800\r\n".to_vec();
    much.resize(0x805, b'x');
    much.extend(b"\r\n0\r\n\r\n");
    for (target, headers, body, status) in [
        ("/x", &chunked[..], &b"zz\r\nbody\r\n0\r\n\r\n"[..], 400),
        ("/x", &chunked, b"4\r\nbodyy\r\n0\r\n\r\n", 400),
        ("/small/x", &chunked, &much, 413),
        ("/small/x", &[("Content-Length", "2000")], b"", 413),
        ("/x", &[("Content-Length", "4"), ("Content-Length", "5")], b"body", 400),
        ("/x", &[("Content-Length", "4"), ("Transfer-Encoding", "chunked")], b"0\r\n\r\n", 400),
        ("/x", &[("Content-Length", "-1")], b"body", 400),
        ("/x", &[("Content-Length", "99999999999999999999")], b"body", 400),
    ] {
        let response = support::request(addr, message("PUT", target, headers, body));
        assert_eq!(response.status, status, "{headers:?} {}", String::from_utf8_lossy(body));
    }
    assert!(s3.take().is_empty());
    check(&nginx, &s3);
}

/// A file system of 256 KiB, where this process may have one; it goes with its mount.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(dir: &Path) -> Option<SmallDisk<'_>> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=256k,mode=777", "none"]).arg(dir);
        command.output().is_ok_and(|output| output.status.success()).then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn there_is_no_room_for_a_body() {
    let s3 = verifier();
    let disk = tempfile::tempdir().unwrap();
    let bodies = disk.path().join("bodies");
    std::fs::create_dir(&bodies).unwrap();
    let small = SmallDisk::mount(&bodies);
    let more = format!("client_body_temp_path {};", bodies.display());
    let nginx = start(&s3, &more);
    if small.is_none() {
        // the next best thing that stops nginx from writing a file
        std::fs::remove_dir(&bodies).unwrap();
    }
    let body = vec![b'x'; 5_000_000];
    for _ in 0..5 {
        // nginx may answer while the body is still being sent
        let answer = try_request(nginx.addr(), put("/x", body.len(), &body));
        assert!(answer.is_err() || answer.is_ok_and(|response| response.status == 500));
    }
    assert!(s3.take().is_empty());
    let said =
        if small.is_some() { "No space left on device" } else { "No such file or directory" };
    nginx.wait_for_log(said, SECOND);
    nginx.allow_log(said);
    assert_eq!(support::request(nginx.addr(), put("/x", 4, b"body")).status, 200);
    assert_eq!(s3.take()[0].verdict, Ok(()));
}

/// A server that reads so many bytes and then resets the connection.
fn resetting(after: usize) -> SocketAddr {
    let listener = support::listen();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read_exact(&mut vec![0; after]);
            let _ = support::verifier::reset(stream);
        }
    });
    addr
}

#[test]
fn an_upstream_resets() {
    let s3 = verifier();
    let bad = resetting(100_000);
    let nginx = start(
        &s3,
        &format!(
            "location /reset/ {{ proxy_pass http://{bad}; }}
            location /reset-streamed/ {{
                aws_payload unsigned; proxy_request_buffering off; proxy_pass http://{bad};
            }}
            location /retried/ {{ proxy_pass http://retried; }}
        }}
        upstream retried {{
            server {bad} max_fails=0; server {bad} max_fails=0; server {} backup;
        ",
            s3.addr()
        ),
    );
    let body: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
    for target in ["/reset/x", "/reset-streamed/x", "/retried/x"] {
        let status = if target == "/retried/x" { 200 } else { 502 };
        for _ in 0..5 {
            let answer = try_request(nginx.addr(), put(target, body.len(), &body));
            // a body that is streamed to nobody is not read to its end
            let early = target == "/reset-streamed/x" && answer.is_err();
            assert!(early || answer.is_ok_and(|response| response.status == status), "{target}");
        }
    }
    for received in s3.take() {
        assert_eq!(received.verdict, Ok(()));
        assert!(received.target == b"/retried/x" && received.body == body);
        let hash = received.header("X-Amz-Content-Sha256");
        assert_eq!(hash, Some(support::sha256_hex(&body)));
    }
    check(&nginx, &s3);
}

#[test]
fn a_reload_comes_in_mid_upload() {
    let s3 = verifier();
    let mut nginx = start(&s3, "location /old/ { proxy_pass http://s3; }");
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (first, second) = body.split_at(1_000_000);
    let worker = *nginx.worker_pids().first().unwrap();
    let files = open_files(worker);
    let mut uploads: Vec<_> = ["/old/x", "/old/y?a", "/streamed/x"]
        .into_iter()
        .map(|target| {
            let mut upload = Connection::open(nginx.addr()).unwrap();
            upload.send(&put(target, body.len(), first)).unwrap();
            upload
        })
        .collect();
    assert!(support::wait_until(5 * SECOND, || open_files(worker) >= files + 3), "all accepted");
    let other = Verifier::start(Credentials::default());
    nginx.reload(&locations(other.addr(), ""));
    assert_eq!(support::request(nginx.addr(), put("/new", 4, b"body")).status, 200);
    assert_eq!(other.take()[0].verdict, Ok(()));
    for upload in &mut uploads {
        upload.send(second).unwrap();
        assert_eq!(upload.receive().status, 200);
    }
    let received = s3.take();
    assert_eq!(received.len(), 3);
    for received in received {
        assert_eq!(received.verdict, Ok(()));
        assert!(received.body == body);
    }
}
