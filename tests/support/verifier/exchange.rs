//! What a verifier receives and what it sends back.

use std::time::Duration;

use super::super::hex;

/// A request and what was thought of it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Everything up to the body.
    pub raw_head: Vec<u8>,
    pub method: String,
    pub target: Vec<u8>,
    pub version: String,
    pub path_decoded: Vec<u8>,
    /// What follows the `?`.
    pub query: String,
    pub query_decoded: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first `Host`, empty if there is none.
    pub host: String,
    /// Names as they were sent, values without the white space around them.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// The first reason to refuse the request, if there is one.
    pub verdict: Result<(), String>,
}

impl Received {
    /// A request of which nothing but these bytes is known yet.
    pub(super) fn new(raw_head: Vec<u8>) -> Self {
        Received {
            raw_head,
            method: String::new(),
            target: Vec::new(),
            version: String::new(),
            path_decoded: Vec::new(),
            query: String::new(),
            query_decoded: Vec::new(),
            host: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            verdict: Ok(()),
        }
    }

    /// The values of a header.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |(n, _): &&(String, Vec<u8>)| n.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_slice())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        self.all(name).next().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// What the standard answer to a good request repeats.
    pub fn summary(&self) -> String {
        format!("{} {} {}\n", self.method, hex(&self.path_decoded), self.query)
    }
}

/// What a [`Verifier`] sends back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// `Content-Length` is added unless one of these frames the body.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Ends the connection behind the answer.
    pub close: bool,
    /// Resets the connection instead of an answer.
    pub drop: bool,
    pub delay: Duration,
    /// Sent in place of all of that, before the connection is closed.
    pub raw: Option<Vec<u8>>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    /// 200 with a summary of the request, or 403 with the reason.
    pub fn verdict(received: &Received) -> Self {
        match &received.verdict {
            Ok(()) => Answer::new(200, received.summary()),
            Err(reason) => Answer::new(403, format!("{reason}\n")),
        }
    }

    pub fn drop() -> Self {
        Answer { drop: true, ..Answer::default() }
    }

    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Answer { raw: Some(bytes.into()), ..Answer::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn close(self) -> Self {
        Answer { close: true, ..self }
    }

    pub fn delay(self, delay: Duration) -> Self {
        Answer { delay, ..self }
    }

    /// The answer as it is sent.
    pub(super) fn bytes(&self, received: &Received, close: bool) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        if !has("Content-Length") && !has("Transfer-Encoding") && self.status != 304 {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += if close { "Connection: close\r\n" } else { "Connection: keep-alive\r\n" };
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body: &[u8] = if received.method == "HEAD" { b"" } else { &self.body };
        [head.as_bytes(), b"\r\n", body].concat()
    }
}
