//! Signing a request of usual size does not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use ngx_http_aws_auth_module::sigv4::uri::{encode_path, encode_query, encoded_len, query_len};
use ngx_http_aws_auth_module::sigv4::{
    AmzDate, CanonicalRequest, Headers, Out, PayloadHash, Scope, Signature, SigningKey,
};

/// The system's allocator, with a count of what each thread asks of it.
struct Counting;

thread_local! {
    // a constant that needs no drop: reading it allocates nothing
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call goes to `System` with the arguments that it came with; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`; `ptr` came from `System`.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocates while `work` runs.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// What a module has at hand before the first request comes.
struct Prepared {
    key: SigningKey,
    scope: Scope,
}

impl Prepared {
    fn new() -> Self {
        let scope = Scope::parse(b"20150830/us-east-1/s3/aws4_request").unwrap();
        Prepared { key: SigningKey::derive("secret", &scope), scope }
    }

    /// Signs a request from its raw parts to the names and the signature of an `Authorization`.
    fn sign(&self, path: &[u8], query: &[u8], extra: &[(&str, &str)], buf: &mut [u8]) -> Signature {
        let date = AmzDate::from_unix(1_440_938_160).unwrap();
        let mut out = Out::new(buf);
        encode_path(path, &mut out);
        let (path, mut out) = out.finish();
        encode_query(query, &mut out).unwrap();
        let (query, mut out) = out.finish();

        let payload = PayloadHash::EMPTY;
        let mut headers = Headers::new();
        headers.insert(b"Host", b"examplebucket.s3.amazonaws.com").unwrap();
        for (name, value) in extra {
            headers.insert(name.as_bytes(), value.as_bytes()).unwrap();
        }
        headers.insert(b"X-Amz-Date", date.as_bytes()).unwrap();
        headers.insert(b"X-Amz-Content-Sha256", payload.as_bytes()).unwrap();
        headers.put_names(&mut out);
        CanonicalRequest { method: b"GET", path, query, headers: &headers, payload }
            .string_to_sign(date, &self.scope)
            .sign(&self.key)
    }
}

#[test]
fn what_allocates_is_counted() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| drop(black_box(vec![0_u8; 64]))), 1);
    let mut grown = Vec::with_capacity(1);
    assert_eq!(allocations(|| grown.extend_from_slice(black_box(&[1_u64; 9]))), 1);
}

#[test]
fn a_typical_get_is_signed_without_allocating() {
    let prepared = Prepared::new();
    let mut buf = [0; 1024];
    let sign = |buf: &mut [u8]| prepared.sign(b"/photos/2015/cat.jpg", b"", &[], buf);
    // twice: nothing is put off until the first use either
    assert_eq!(allocations(|| _ = black_box(sign(&mut buf))), 0);
    assert_eq!(allocations(|| _ = black_box(sign(&mut buf))), 0);
}

#[test]
fn a_long_path_and_an_unsorted_query_are_signed_without_allocating() {
    let prepared = Prepared::new();
    let path = format!("/{}", "ä b%2B/".repeat(128));
    assert!(path.len() >= 1024);
    let query = (0..10).rev().map(|n| format!("&p{n}=v+%20{n}&")).collect::<String>();
    let extra = [
        ("Range", "bytes=0-9"),
        ("X-Amz-Security-Token", "token"),
        ("X-Amz-Meta-B", "  two   words "),
        ("x-amz-meta-a", "1"),
        ("X-Amz-Meta-A", "2"),
    ];
    let room = encoded_len(path.as_bytes()) + query_len(query.as_bytes()) + 256;
    let mut buf = vec![0; room];
    let sign = |buf: &mut [u8]| prepared.sign(path.as_bytes(), query.as_bytes(), &extra, buf);
    // twice: nothing is put off until the first use either
    assert_eq!(allocations(|| _ = black_box(sign(&mut buf))), 0);
    assert_eq!(allocations(|| _ = black_box(sign(&mut buf))), 0);
}

#[test]
fn what_the_core_allocates_is_counted() {
    let prepared = Prepared::new();
    // more headers than the list has room for on the stack
    let names: Vec<String> = (0..20).map(|n| format!("x-amz-meta-{n}")).collect();
    let extra: Vec<(&str, &str)> = names.iter().map(|name| (&name[..], "value")).collect();
    let mut buf = [0; 1024];
    assert!(allocations(|| _ = black_box(prepared.sign(b"/", b"", &extra, &mut buf))) > 0);
}
