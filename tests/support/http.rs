//! A client that sends what it is told to, byte for byte.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

/// How long a read may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// A response with its body decoded.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    /// The line that it begins with.
    pub status_line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body arrived whole.
    pub complete: bool,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `bytes` on a connection of its own and reads one response.
pub fn request(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let bytes = bytes.as_ref();
    try_request(addr, bytes)
        .unwrap_or_else(|e| panic!("{e} on {:?}", String::from_utf8_lossy(bytes)))
}

/// Like [`request`] where there may be no response.
pub fn try_request(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
    let mut connection = Connection::open(addr)?;
    // who refuses a request early answers before all of it is sent
    let _ = connection.send(bytes.as_ref());
    connection.try_receive(bytes.as_ref().starts_with(b"HEAD "))
}

pub fn get(addr: SocketAddr, target: impl AsRef<[u8]>) -> Response {
    get_with(addr, target, &[])
}

/// A GET with more headers; a `Host` among them takes the place of `localhost`.
pub fn get_with(addr: SocketAddr, target: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Response {
    request(addr, message("GET", target, headers, b""))
}

pub fn head(addr: SocketAddr, target: impl AsRef<[u8]>) -> Response {
    request(addr, message("HEAD", target, &[], b""))
}

/// A request with `Connection: close` and, unless `headers` have one, `Host: localhost`.
pub fn message(
    method: &str,
    target: impl AsRef<[u8]>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut bytes = [method.as_bytes(), b" ", target.as_ref(), b" HTTP/1.1\r\n"].concat();
    for (name, value) in [("Host", "localhost"), ("Connection", "close")] {
        if !has(name) {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
    }
    if !body.is_empty() && !has("Content-Length") && !has("Transfer-Encoding") {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// `body` in chunks of `size` bytes, as HTTP and S3 frame them, without the last one that ends them.
pub fn chunks(body: &[u8], size: usize) -> Vec<u8> {
    let chunk =
        |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    body.chunks(size).flat_map(chunk).collect()
}

/// A connection for more than one request.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        let timeout = TIMEOUT * super::slowness();
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&mut self) {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// The response to a request that was not HEAD.
    pub fn receive(&mut self) -> Response {
        self.try_receive(false).expect("a response")
    }

    /// The next response that is not an interim one; one to a HEAD request has no body.
    pub fn try_receive(&mut self, to_head: bool) -> io::Result<Response> {
        loop {
            let mut response = self.head()?;
            if (100..200).contains(&response.status) && response.status != 101 {
                continue;
            }
            response.complete = true;
            if !to_head && !matches!(response.status, 101 | 204 | 304) {
                self.body(&mut response)?;
            }
            check(&response);
            return Ok(response);
        }
    }

    /// Whether the other side has closed the connection, and sent nothing before.
    pub fn is_closed(&mut self) -> bool {
        // a reset is an end, too; no answer in time is none
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn head(&mut self) -> io::Result<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.filter(|_| status_line.starts_with("HTTP/1."));
        let status = status.ok_or_else(|| invalid(&status_line))?;
        let mut response = Response { status, status_line, ..Response::default() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(response);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            response.headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, response: &mut Response) -> io::Result<()> {
        if response.header("Transfer-Encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            response.complete = false;
            while let Some(size) = self.chunk_size()? {
                if !self.exactly(size, &mut response.body)? {
                    return Ok(());
                }
                let Ok(last) = self.line() else { return Ok(()) };
                if size == 0 {
                    response.complete = last.is_empty();
                    return Ok(());
                }
            }
        } else if let Some(length) = response.header("Content-Length") {
            let length = length.parse().map_err(|_| invalid(length))?;
            response.complete = self.exactly(length, &mut response.body)?;
        } else {
            self.stream.read_to_end(&mut response.body)?;
        }
        Ok(())
    }

    /// Appends so many bytes to `body`; false if there are less.
    fn exactly(&mut self, count: u64, body: &mut Vec<u8>) -> io::Result<bool> {
        match self.stream.by_ref().take(count).read_to_end(body) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            read => Ok(read? as u64 == count),
        }
    }

    /// The size of the next chunk, or nothing at the end of the connection.
    fn chunk_size(&mut self) -> io::Result<Option<u64>> {
        match self.line() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            line => {
                let line = line?;
                let size = line.split(';').next().unwrap_or_default();
                u64::from_str_radix(size, 16).map(Some).map_err(|_| invalid(&line))
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None if line.ends_with(b"\n") => Err(invalid(&String::from_utf8_lossy(&line))),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// No client ever sees a key.
fn check(response: &Response) {
    static KEY: LazyLock<String> =
        LazyLock::new(|| super::signing_key(&super::today(), super::REGION, super::SERVICE));
    let texts = response.headers.iter().map(|(_, value)| value.as_bytes());
    for text in texts.chain([&response.body[..]]) {
        for key in [KEY.as_bytes(), super::SECRET_KEY.as_bytes()] {
            assert!(memchr::memmem::find(text, key).is_none(), "a client got a key");
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP/1.x: {what:?}"))
}
