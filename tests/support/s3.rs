//! A whole S3 server that verifies signatures, in this process.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::files::Files;
use super::memory::Memory;

/// Names of buckets, each with the keys and bodies of its objects.
pub type Buckets<'a> = &'a [(&'a str, &'a [(&'a str, &'a [u8])])];

/// A running server; it stops when it is dropped.
///
/// Its buckets are at `bucket.domain`, at `domain/bucket`, and at the address with any path.
pub struct S3Server {
    addr: SocketAddr,
    requests: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
    files: Option<TempDir>,
}

impl S3Server {
    /// A server of files.
    pub fn start(access_key: &str, secret_key: &str, domain: &str, buckets: Buckets<'_>) -> Self {
        let files = tempfile::tempdir().unwrap();
        for (name, objects) in buckets {
            let bucket = files.path().join(name);
            fs::create_dir(&bucket).unwrap();
            for (key, body) in *objects {
                let file = bucket.join(key);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, body).unwrap();
            }
        }
        let s3 = Files::new(FileSystem::new(files.path()).unwrap());
        let mut server = Self::serve(s3, access_key, secret_key, domain);
        server.files = Some(files);
        server
    }

    /// A server of any keys, such as `a//b` and `a/../b`, that can get, head and list.
    pub fn start_in_memory(
        access_key: &str,
        secret_key: &str,
        domain: &str,
        buckets: Buckets<'_>,
    ) -> Self {
        Self::serve(Memory::new(buckets), access_key, secret_key, domain)
    }

    fn serve(s3: impl S3, access_key: &str, secret_key: &str, domain: &str) -> Self {
        let mut builder = S3ServiceBuilder::new(s3);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        builder.set_host(SingleDomain::new(domain).unwrap());
        let service = builder.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let listener = super::listen();
        let addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = runtime.block_on(async { TcpListener::from_std(listener) }).unwrap();
        runtime.spawn(accept(listener, service, Arc::clone(&requests)));
        S3Server { addr, requests, runtime: Some(runtime), files: None }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// How many requests there were, refused ones among them.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

async fn accept(listener: TcpListener, service: S3Service, requests: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (service, requests) = (service.clone(), Arc::clone(&requests));
        let service = service_fn(move |request: Request<Incoming>| {
            requests.fetch_add(1, Ordering::SeqCst);
            let service = service.clone();
            async move { service.call(request.map(Body::from)).await }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
