//! A client that speaks HTTP/3, to a server that need not prove who it is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use h3::client::SendRequest;
use h3_quinn::OpenStreams;
use hyper::body::{Buf as _, Bytes};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::runtime::Runtime;

use super::Response;

/// How long lies between two pieces of a body.
const PAUSE: Duration = Duration::from_millis(30);

/// A connection; each request is a stream of it.
pub struct Connection {
    runtime: Runtime,
    client: SendRequest<OpenStreams, Bytes>,
    /// The connection ends with it.
    _endpoint: Endpoint,
}

impl Connection {
    pub fn open(addr: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (client, endpoint) = runtime.block_on(async {
            let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            endpoint.set_default_client_config(configuration());
            let connection = endpoint.connect(addr, "localhost").unwrap().await.unwrap();
            let connection = h3_quinn::Connection::new(connection);
            // nginx 1.28 takes a frame of no meaning at the end of a stream for a body cut short
            let mut builder = h3::client::builder();
            let (mut driver, client) = builder.send_grease(false).build(connection).await.unwrap();
            tokio::spawn(async move { driver.wait_idle().await });
            (client, endpoint)
        });
        Connection { runtime, client, _endpoint: endpoint }
    }

    /// Sends a request whose body is in `pieces`, with pauses between them.
    pub fn send(&mut self, method: &str, target: &str, pieces: &[&[u8]]) -> Response {
        let client = &mut self.client;
        self.runtime.block_on(async {
            let request = http::Request::builder().method(method);
            let request = request.uri(format!("https://localhost{target}")).body(()).unwrap();
            let mut stream = client.send_request(request).await.unwrap();
            for piece in pieces {
                tokio::time::sleep(PAUSE).await;
                // who refuses a request early wants no more of it
                if stream.send_data(Bytes::copy_from_slice(piece)).await.is_err() {
                    break;
                }
            }
            let _ = stream.finish().await;
            let head = stream.recv_response().await.unwrap();
            let mut response =
                Response { status: head.status().as_u16(), complete: true, ..Response::default() };
            while let Some(mut data) = stream.recv_data().await.unwrap() {
                response.body.extend(data.copy_to_bytes(data.remaining()));
            }
            response
        })
    }
}

fn configuration() -> ClientConfig {
    let provider = Arc::new(default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// Takes every certificate: who the server is matters to no test.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
