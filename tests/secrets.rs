//! What must not show: keys in logs, messages and memory.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use support::{Credentials, Nginx, Verifier};

/// Where `needle` is in the writable memory of a process.
fn in_memory(pid: u32, needle: &[u8]) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        if !access.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let number = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
        let mut bytes = vec![0; (number(end) - number(start)) as usize];
        memory.seek(SeekFrom::Start(number(start))).unwrap();
        if memory.read_exact(&mut bytes).is_ok() {
            let places = memchr::memmem::find_iter(&bytes, needle);
            found.extend(places.map(|place| format!("{line} at {place:#x}")));
        }
    }
    found
}

/// Whether a needle is in a process's memory once, at the latest when the last request is gone.
fn is_once_in_memory(pid: u32, needle: &str) -> bool {
    let once = || in_memory(pid, needle.as_bytes()).len() == 1;
    support::wait_until(std::time::Duration::from_secs(5), once)
}

/// A key that no other test process of this machine has in its memory.
fn own_key(secret: &str) -> (Vec<u8>, String) {
    let key = support::raw_signing_key(secret, &support::today(), "us-east-1", "s3");
    let text = BASE64_STANDARD.encode(&key);
    (key, text)
}

fn configuration(s3: &Verifier, key: &str, padding: usize) -> String {
    format!(
        "access_log {{prefix}}/access.log;
        # {padding}
        aws_access_key AKIDEXAMPLE;
        aws_key_scope {today}/us-east-1/s3/aws4_request;
        aws_signing_key {key};
        aws_s3_bucket bucket;
        server {{ listen 127.0.0.1:{{port}}; aws_sign; location / {{ proxy_pass http://{s3}; }} }}",
        padding = "x".repeat(padding),
        today = support::today(),
        s3 = s3.addr(),
    )
}

#[test]
fn keys_are_nowhere_in_memory_and_logs() {
    let secrets = ["first secret", "second secret"];
    let credentials =
        |secret: &str| Credentials { secret_key: secret.to_owned(), ..Credentials::default() };
    let servers = secrets.map(|secret| Verifier::start(credentials(secret)));
    let keys = secrets.map(own_key);
    // some of the paddings have the key straddle the end of what nginx reads at once
    let paddings = [0, 3000, 3300, 3400, 3450, 3500, 3550];
    let mut nginx = Nginx::start(&configuration(&servers[0], &keys[0].1, 0));
    for (round, padding) in paddings.into_iter().enumerate() {
        let current = round % 2;
        if round > 0 {
            nginx.reload(&configuration(&servers[current], &keys[current].1, padding));
        }
        for target in ["/x", "/a%20b?c", "/%ff"] {
            assert_eq!(support::get(nginx.addr(), target).status, 200);
        }
        let pids: BTreeSet<u32> =
            nginx.worker_pids().into_iter().chain([nginx.master_pid()]).collect();
        for (bytes, text) in &keys {
            for needle in [&bytes[..], text.as_bytes(), &text.as_bytes()[..40]] {
                for pid in &pids {
                    let found = in_memory(*pid, needle);
                    assert!(found.is_empty(), "round {round}, process {pid}: {found:?}");
                }
            }
        }
    }
    let prefix = nginx.prefix().to_owned();
    let access = fs::read_to_string(prefix.join("access.log")).unwrap();
    let error = nginx.stop();
    assert!(error.contains("aws canonical request") && error.contains("aws string to sign"));
    for (_, text) in &keys {
        assert!(!error.contains(text) && !access.contains(text));
    }
}

#[test]
fn a_prepared_key_is_wiped_with_its_configuration() {
    // the inner state of HMAC-SHA256 is what a key is kept as
    let secret = "a secret of this test";
    let credentials = Credentials { secret_key: secret.to_owned(), ..Credentials::default() };
    let s3 = Verifier::start(credentials);
    let (key, text) = own_key(secret);
    let mut block = [0x36_u8; 64];
    block.iter_mut().zip(&key).for_each(|(byte, key)| *byte ^= key);
    let mut state = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19_u32,
    ];
    sha2::block_api::compress256(&mut state, &[block]);
    let state: Vec<u8> = state.iter().flat_map(|word| word.to_ne_bytes()).collect();

    let mut nginx = Nginx::start(&configuration(&s3, &text, 0));
    assert_eq!(support::get(nginx.addr(), "/x").status, 200);
    assert!(!in_memory(nginx.master_pid(), &state).is_empty(), "this is how it is kept");
    nginx.reload("server { listen 127.0.0.1:{port}; }");
    assert!(support::wait_until(std::time::Duration::from_secs(5), || {
        in_memory(nginx.master_pid(), &state).is_empty()
    }));
}

#[test]
fn a_secret_and_a_token_go_with_their_configuration() {
    let secret = "wJalrXUtnFEMI+of+this+test+bPxRfiCYEXAMP";
    let token = "FQoGZXIvYXdzE+of+this+test";
    let credentials = Credentials { secret_key: secret.to_owned(), ..Credentials::default() };
    let s3 = Verifier::start(credentials);
    let configuration = format!(
        "aws_access_key AKIDEXAMPLE; aws_secret_key {secret}; aws_region us-east-1;
        aws_session_token {token}; aws_s3_bucket bucket;
        server {{
            listen 127.0.0.1:{{port}}; aws_sign;
            location / {{ proxy_pass http://{0}; }}
        }}",
        s3.addr()
    );
    let mut nginx = Nginx::start(&configuration);
    for _ in 0..3 {
        assert_eq!(support::get(nginx.addr(), "/x").status, 200);
    }
    let worker = *nginx.worker_pids().first().unwrap();
    // the token is kept once; that of a request is wiped with it
    for needle in [token, secret] {
        assert!(is_once_in_memory(worker, needle), "{:?}", in_memory(worker, needle.as_bytes()));
    }
    let output = Nginx::builder().http(&configuration).dump();
    assert!(!output.contains(secret) && !output.contains(token), "{output}");

    nginx.reload("server { listen 127.0.0.1:{port}; }");
    for needle in [secret, token] {
        assert!(support::wait_until(std::time::Duration::from_secs(5), || {
            in_memory(nginx.master_pid(), needle.as_bytes()).is_empty()
        }));
    }
    let log = nginx.stop();
    assert!(!log.contains(secret) && !log.contains(token));
}

#[test]
fn nginx_t_shows_no_key() {
    let (_, text) = own_key("yet another secret");
    // a key in a wrong place, too
    for wrong in ["aws_access_key", "aws_key_scope", "aws_s3_bucket", "aws_endpoint", "aws_sign"] {
        let (good, stderr) = Nginx::builder().http(&format!("{wrong} {text};")).test();
        let accepted = wrong == "aws_access_key" && !text.contains('/') && !text.contains('=');
        assert!(good == accepted && !stderr.contains(&text[..20]), "{wrong}: {stderr}");
        if !accepted {
            let line = format!("[emerg] invalid value in \"{wrong}\" directive, ");
            assert!(stderr.contains(&line), "{stderr}");
        }
    }
    let scope = "20150830/us-east-1/s3/aws4_request";
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    for wrong in [
        format!("aws_sign_methods GET {text}"),
        format!("aws_sign_methods {secret}"),
        format!("aws_pass_header x-amz-acl {text}"),
        format!("aws_key_scope '{text} {scope}'"),
        format!("aws_key_scope {text}{scope}"),
        format!("aws_endpoint http://{secret}"),
        format!("aws_signing_key x {text}"),
        format!("aws_payload {secret}{secret}{secret}"),
    ] {
        let (good, stderr) = Nginx::builder().http(&format!("{wrong};")).test();
        assert!(!good && !stderr.contains(&text[..20]), "{wrong}: {stderr}");
        assert!(!stderr.contains(&secret[..20]), "{wrong}: {stderr}");
        let directive = wrong.split(' ').next().unwrap();
        assert!(stderr.contains(&format!("\"{directive}\" directive")), "{wrong}: {stderr}");
    }
    // one without a slash is a good access key id, region or bucket
    let secret = "wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY";
    for wrong in ["aws_access_key", "aws_region", "aws_service", "aws_s3_bucket", "aws_endpoint"] {
        let (good, stderr) = Nginx::builder().http(&format!("{wrong} {secret};")).test();
        assert!(good && !stderr.contains(&secret[..20]), "{stderr}");
        let line = format!("the value of \"{wrong}\" looks like a key that must not show");
        assert!(stderr.contains(&line), "{stderr}");
    }
    for wrong in [
        format!("aws_key_scope 20150830/{secret}/s3/aws4_request"),
        format!("aws_signing_key {text} 20150830/{secret}/s3/aws4_request"),
        format!("aws_pass_header x-amz-acl x-amz-{secret}"),
    ] {
        let (good, stderr) = Nginx::builder().http(&format!("{wrong};")).test();
        let warned = stderr.contains("looks like a key that must not show");
        assert!(good && warned && !stderr.contains(&secret[..20]), "{wrong}: {stderr}");
    }
    let (good, stderr) = Nginx::builder().http(&format!("aws_secret_key file:{secret};")).test();
    assert!(!good && stderr.contains("cannot read") && !stderr.contains(&secret[..20]), "{stderr}");
    for (key, line) in [
        ("/etc/passwd", "the value of \"aws_secret_key\" is the name of a file"),
        (&text[..], "the value of \"aws_secret_key\" looks like a signing key"),
    ] {
        let (good, stderr) = Nginx::builder().http(&format!("aws_secret_key {key};")).test();
        assert!(good && stderr.contains(line) && !stderr.contains(key), "{stderr}");
    }
    // one that is no key must not hang nginx
    let (good, stderr) = Nginx::builder().http("aws_signing_key \0\0;").test();
    assert!(!good && stderr.contains("it is not base64"), "{stderr}");
    // "nginx -T" prints the whole configuration
    let s3 = Verifier::start(Credentials::default());
    let output = Nginx::builder().http(&configuration(&s3, &text, 0)).dump();
    assert!(output.contains("aws_signing_key ****") && !output.contains(&text[..20]), "{output}");
}
