//! What answers in a soak: a good server with an object under every key, and bad ones.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::support::{self, Answer, Received, decode, verifier};

/// The object at a target, which depends on it, and on the body that it was sent with.
pub fn object(target: &str, body: &[u8]) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decode(path.as_bytes()).escape_ascii().to_string();
    format!("{path} {query} {} ", body.len()).repeat(100)
}

/// What the good server says: the object, or a part of it.
pub fn answer(received: &Received) -> Answer {
    if received.verdict.is_err() {
        return Answer::verdict(received);
    }
    let object = object(&String::from_utf8_lossy(&received.target), &received.body);
    let Some(range) = received.header("Range") else { return Answer::new(200, object) };
    let (start, end) = range.trim_start_matches("bytes=").split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse::<usize>().unwrap().min(object.len() - 1);
    Answer::new(206, object[start..=end].to_owned())
        .header("Content-Range", &format!("bytes {start}-{end}/{}", object.len()))
}

/// Servers that do not do as they should.
pub struct Servers {
    pub refused: SocketAddr,
    pub stalls: SocketAddr,
    pub resets: SocketAddr,
    pub garbage: SocketAddr,
    pub heads: Arc<Heads>,
}

/// The heads of requests that came to the bad servers.
#[derive(Default)]
pub struct Heads {
    pub signed: AtomicU64,
    pub unsigned: AtomicU64,
}

impl Heads {
    /// Reads a head and counts it; what has no end, as of a killed worker, is none.
    fn read(&self, stream: &mut TcpStream) {
        let (mut head, mut piece) = (Vec::new(), [0; 4096]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut piece) {
                Ok(len) if len > 0 => head.extend_from_slice(&piece[..len]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&head);
        let signed = head.contains("\r\nAuthorization: AWS4-HMAC-SHA256 Credential=");
        let count = if signed { &self.signed } else { &self.unsigned };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Servers {
    pub fn start() -> Servers {
        let heads = Arc::new(Heads::default());
        Servers {
            refused: SocketAddr::from(([127, 0, 0, 1], support::free_port())),
            stalls: serve(&heads, |_, _| {
                thread::sleep(Duration::from_millis(800));
            }),
            resets: serve(&heads, |mut stream, count| {
                if count % 2 == 0 {
                    let _ = stream.write_all(b"HTTP/1.1 20");
                }
                let _ = verifier::reset(stream);
            }),
            garbage: serve(&heads, |mut stream, count| {
                let garbage: &[u8] = match count % 6 {
                    0 => b"\0\x01\x02\xff\xfe garbage\r\n\r\n",
                    1 => b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                    2 => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabc",
                    3 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    4 => b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
                    _ => b"",
                };
                let _ = stream.write_all(garbage);
            }),
            heads,
        }
    }
}

/// A server that reads the head of a request on each connection, and then does this.
fn serve(
    heads: &Arc<Heads>,
    with: impl Fn(TcpStream, usize) + Copy + Send + 'static,
) -> SocketAddr {
    let listener = support::listen();
    let addr = listener.local_addr().unwrap();
    let heads = Arc::clone(heads);
    thread::spawn(move || {
        for (count, mut stream) in listener.incoming().flatten().enumerate() {
            let heads = Arc::clone(&heads);
            thread::spawn(move || {
                heads.read(&mut stream);
                with(stream, count);
            });
        }
    });
    addr
}
