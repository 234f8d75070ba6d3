use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::Config;

/// What the fuzzer starts from, and what it has found.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let files = fs::read_dir(dir).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    let files: Vec<_> = files.collect();
    assert!(!files.is_empty());
    files
}

#[test]
fn the_corpora_have_the_properties() {
    corpus("head").iter().for_each(|data| super::head(data));
    corpus("values").iter().for_each(|data| super::values(data));
    corpus("target").iter().for_each(|data| super::target(data));
}

/// Bytes made of these and of a few of any kind.
fn of(words: &'static [&'static str], count: usize) -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let any = prop::collection::vec(any::<u8>(), 0..3);
    prop::collection::vec(prop_oneof![9 => word, 1 => any], 0..count).prop_map(|all| all.concat())
}

const REQUEST: &[&str] = &[
    "GET /a?b=c HTTP/1.1\r\n",
    "PUT /%20+%zz? HTTP/1.0\r\n",
    "Host: h\r\n",
    "HOST:h:1 \r\n",
    "Content-Length: 3\r\n",
    "content-length:0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X-Amz-Meta-A:  b   c\r\n",
    "x-amz-meta-a: \r\n",
    "x-amz-date: 1\r\n",
    "Authorization: x\r\n",
    "Content-MD5: x  y\r\n",
    "Accept: */*\r\n",
    "X\r\n",
    " folded\r\n",
    "a : b\r\n",
    "X-B: ",
    "x-amz-meta-b: ",
    "b\r\n",
    "\x07",
    "\x7f",
    "\r\n",
    "\n",
    "\r",
    "abc",
    "\0",
];

const VALUE: &[&str] = &[
    "20150830",
    "/",
    "us-east-1",
    "s3",
    "aws4_request",
    "x-amz-",
    "meta-",
    "*",
    "date",
    "GET",
    " ",
    "PUT",
    "a",
    ".",
    "-",
    ":",
    "9000",
    "[::1]",
    "T123600Z",
    "AAAAAAAAAAAAAAAAAAAAA",
    "==",
];

const TARGET: &[&str] = &["/", "a", "?", "%", "%3F", "%25", "b=c", "&", "\u{e9}", "..", "+", " "];

proptest! {
    // no files with regressions in the tree: what fails once becomes a test with a name
    #![proptest_config(Config { cases: 2000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_head_is_refused_or_signed(choice: u8, wire in of(REQUEST, 12)) {
        super::head(&[&[choice][..], &wire].concat());
        super::head(&[&[choice][..], b"GET /a?b HTTP/1.1\r\nHost: h\r\n", &wire, b"\r\n"].concat());
    }

    #[test]
    fn a_value_is_refused_or_harmless(choice: u8, value in of(VALUE, 9)) {
        super::values(&[&[choice][..], &value].concat());
    }

    #[test]
    fn a_pasted_target_is_canonical(
        wire in of(TARGET, 12), uri in of(TARGET, 12), args in of(TARGET, 4), sent in of(TARGET, 12),
    ) {
        super::target(&[&wire[..], &uri, &args, &sent].join(&0xff));
    }
}
