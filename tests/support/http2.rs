//! A client that speaks HTTP/2 at once, without TLS.

use std::net::SocketAddr;
use std::time::Duration;

use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::Response;

/// How long lies between two pieces of a body.
const PAUSE: Duration = Duration::from_millis(30);

/// A connection; each request is a stream of it.
pub struct Connection {
    runtime: Runtime,
    client: SendRequest<Bytes>,
}

impl Connection {
    pub fn open(addr: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(async {
            let stream = TcpStream::connect(addr).await.unwrap();
            let (client, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Connection { runtime, client }
    }

    /// Sends a request whose body is in `pieces`, with pauses between them.
    pub fn send(&mut self, method: &str, target: &str, pieces: &[&[u8]]) -> Response {
        self.send_with(method, target, &[], pieces)
    }

    /// [`send`](Self::send) with more headers.
    pub fn send_with(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        pieces: &[&[u8]],
    ) -> Response {
        let client = &mut self.client;
        self.runtime.block_on(async {
            let request = request(method, target, headers);
            let (answer, mut body) = client.send_request(request, pieces.is_empty()).unwrap();
            for (index, piece) in pieces.iter().enumerate() {
                tokio::time::sleep(PAUSE).await;
                // who refuses a request early wants no more of it
                if body.send_data(Bytes::copy_from_slice(piece), index + 1 == pieces.len()).is_err()
                {
                    break;
                }
            }
            receive(answer).await
        })
    }

    /// Sends a GET for each of the targets before any answer is read.
    pub fn send_all(&mut self, targets: &[&str]) -> Vec<Response> {
        let client = &mut self.client;
        self.runtime.block_on(async {
            let ask = |target: &&str| client.send_request(request("GET", target, &[]), true);
            let answers: Vec<_> = targets.iter().map(ask).collect();
            let mut responses = Vec::new();
            for answer in answers {
                responses.push(receive(answer.unwrap().0).await);
            }
            responses
        })
    }
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let uri = format!("http://localhost{target}");
    let builder = Request::builder().method(method).uri(uri);
    headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value))
        .body(())
        .unwrap()
}

async fn receive(answer: ResponseFuture) -> Response {
    let (head, mut body) = answer.await.unwrap().into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut response = Response {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        complete: true,
        ..Response::default()
    };
    while let Some(data) = body.data().await {
        let Ok(data) = data else {
            response.complete = false;
            break;
        };
        let _ = body.flow_control().release_capacity(data.len());
        response.body.extend(data);
    }
    response
}
