//! A server that sees the bytes of a request as they are and judges them like a strict S3.

mod exchange;
mod judge;
mod wire;

use std::collections::HashMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::{ACCESS_KEY, REGION, SECRET_KEY, SERVICE, wait_until};
pub use exchange::{Answer, Received};

/// Whose signatures are good, and for what.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub access_key: String,
    pub secret_key: String,
    pub region: String,
    pub service: String,
    /// The day of the scope; without it, today, or that of `X-Amz-Date` where the clock is not checked.
    pub scope_date: Option<String>,
    /// Whether `X-Amz-Date` must be about now.
    pub check_clock: bool,
    /// Whether a body may go unsigned.
    pub unsigned_payload: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            region: REGION.to_owned(),
            service: SERVICE.to_owned(),
            scope_date: None,
            check_clock: true,
            unsigned_payload: false,
        }
    }
}

type Responder = dyn Fn(&Received) -> Answer + Send + Sync;

/// What the threads of a server share.
struct Shared {
    credentials: Credentials,
    responder: Box<Responder>,
    started: SystemTime,
    stopping: AtomicBool,
    connections: AtomicUsize,
    /// By the number of the connection.
    open: Mutex<HashMap<usize, TcpStream>>,
    received: Mutex<Vec<Received>>,
}

/// A running server; it stops when it is dropped.
pub struct Verifier {
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Verifier {
    /// A server on a free port of 127.0.0.1 that answers with [`Answer::verdict`].
    pub fn start(credentials: Credentials) -> Self {
        Self::with_responder(credentials, Answer::verdict)
    }

    /// A server whose answers `responder` makes up from the requests and their verdicts.
    pub fn with_responder(
        credentials: Credentials,
        responder: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = super::listen();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            credentials,
            responder: Box::new(responder),
            started: SystemTime::now(),
            stopping: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            received: Mutex::default(),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Verifier { addr, shared, thread: Some(thread) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// All requests, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// All requests since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut lock(&self.shared.received))
    }

    /// Waits for `count` requests and takes them.
    pub fn take_when(&self, count: usize, timeout: Duration) -> Vec<Received> {
        let enough = || lock(&self.shared.received).len() >= count;
        let came = wait_until(timeout, enough);
        let received = self.take();
        assert!(came, "{} requests instead of {count}: {received:?}", received.len());
        received
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // wakes the thread that accepts
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for (_, stream) in lock(&self.shared.open).drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        if let Ok(handle) = stream.try_clone() {
            lock(&shared.open).insert(number, handle);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // the other side may go away at any time
            let _ = serve(stream, &shared);
            lock(&shared.open).remove(&number);
        });
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some((mut received, goes_on)) = wire::read(&mut reader)? {
        if received.verdict.is_ok() {
            received.verdict = judge::judge(&received, &shared.credentials, shared.started);
        }
        lock(&shared.received).push(received.clone());
        let answer = (shared.responder)(&received);
        thread::sleep(answer.delay);
        if answer.drop {
            return reset(stream);
        }
        let close = answer.close || !goes_on || answer.raw.is_some();
        stream.write_all(&answer.bytes(&received, close))?;
        if close {
            break;
        }
    }
    // closing while there is something to read would be a reset
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    io::copy(&mut reader.take(1 << 20), &mut io::sink()).map(drop)
}

/// Closes the connection with a reset, which takes no unsafe code with tokio.
pub fn reset(stream: TcpStream) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)?.set_zero_linger()
}
