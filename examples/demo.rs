//! Serves a private bucket through nginx: an S3 server that verifies signatures, nginx with the
//! module in front of it, and a fetch with and without a signature.
//!
//! `make demo` builds what it needs and runs it. With `DEMO_ONCE=1` it exits after the fetches; its
//! status tells whether they came out right.

#[path = "../tests/support/mod.rs"]
mod support;

use std::io;
use std::process::ExitCode;

use support::{ACCESS_KEY, Nginx, Response, S3Server, SECRET_KEY};
use tokio::signal::unix::{SignalKind, signal};

const BUCKET: &str = "private-bucket";
const ENDPOINT: &str = "s3.demo.test";
const OBJECTS: &[(&str, &[u8])] = &[
    ("Grüße & 100% + more.txt", "Grüße from a private bucket: no key breaks.\n".as_bytes()),
    ("hello.txt", b"Hello from a private bucket.\n"),
    ("photos/2026/a cat.txt", b"(imagine a cat)\n"),
];

fn main() -> ExitCode {
    println!("\nstarting an S3 server that verifies signatures, and nginx with the module ...");
    let s3 = S3Server::start(ACCESS_KEY, SECRET_KEY, ENDPOINT, &[(BUCKET, OBJECTS)]);
    let nginx = Nginx::builder().log_level("info").http(&configuration(&s3)).start();

    let (key, body) = OBJECTS[0];
    let path = support::encode_path(key.as_bytes());
    let signed = fetch(&nginx, &format!("/{path}"), "signed by nginx");
    let unsigned = fetch(&nginx, &format!("/unsigned/{path}"), "not signed");
    let right = signed.status == 200 && signed.body == body && unsigned.status == 403;
    println!("\n{}", if right { "Both came out right." } else { "THIS WENT WRONG." });

    if std::env::var_os("DEMO_ONCE").is_some_and(|once| once == "1") || !right {
        return if right { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    println!("\nTry it:\n");
    for (key, _) in OBJECTS {
        let path = support::encode_path(key.as_bytes());
        println!("    curl -i 'http://{}/{path}'", nginx.addr());
    }
    println!("    curl -i 'http://{}/?list-type=2'", nginx.addr());
    println!("    curl -i 'http://{}/unsigned/hello.txt'", nginx.addr());
    println!("\nThe configuration is {}/nginx.conf.", nginx.prefix().display());
    println!("Serving until interrupted (Ctrl-C) ...");
    if let Err(error) = wait_for_signal() {
        eprintln!("demo: cannot wait for signals: {error}");
        return ExitCode::FAILURE;
    }
    println!("\nstopping ...");
    ExitCode::SUCCESS
}

fn configuration(s3: &S3Server) -> String {
    let keys = support::directives();
    let s3 = s3.addr();
    format!(
        "{keys}
        aws_s3_bucket {BUCKET};
        aws_endpoint {ENDPOINT};

        server {{
            listen 127.0.0.1:{{port}};

            location / {{
                aws_sign;
                proxy_pass http://{s3};
            }}

            # the same, but for aws_sign
            location /unsigned/ {{
                proxy_pass http://{s3}/;
                proxy_set_header Host {BUCKET}.{ENDPOINT};
            }}
        }}"
    )
}

/// Fetches a path through nginx and shows what came back.
fn fetch(nginx: &Nginx, path: &str, how: &str) -> Response {
    let response = support::get(nginx.addr(), path);
    println!("\nGET {path} ({how}): {}", response.status);
    for line in response.text().lines() {
        println!("    {line}");
    }
    response
}

/// Waits for one of the signals that end a program.
fn wait_for_signal() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            _ = hangup.recv() => (),
        }
        Ok(())
    })
}
