//! Programs that speak S3 themselves, with `nginx-conf/s3-clients.conf` between them and a server.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{ACCESS_KEY, Nginx, S3Server, SECRET_KEY};
use tempfile::TempDir;

/// A proxy in front of a server with one bucket; it speaks TLS, too.
struct Site {
    s3: S3Server,
    nginx: Nginx,
    https: String,
    files: TempDir,
}

impl Site {
    fn start() -> Site {
        let domain = "s3.us-east-1.amazonaws.com";
        let s3 = S3Server::start(ACCESS_KEY, SECRET_KEY, domain, &[("bucket", &[])]);
        let files = tempfile::tempdir().unwrap();
        support::certificate(files.path(), "localhost");
        let port = support::free_port();
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx-conf/s3-clients.conf");
        let mut conf = fs::read_to_string(conf).unwrap();
        let listen = format!(
            "listen 127.0.0.1:{{port}}; listen 127.0.0.1:{port} ssl;
            ssl_certificate {0}/localhost.crt; ssl_certificate_key {0}/localhost.key;",
            files.path().display()
        );
        for (from, to) in [
            ("listen      80;", &*listen),
            ("server_name s3.example.com;", "server_name localhost;"),
            ("include      aws-keys.conf;", &support::directives()),
            ("https://s3.us-east-1.amazonaws.com", &format!("http://{}", s3.addr())),
        ] {
            assert!(conf.contains(from), "{from:?}");
            conf = conf.replace(from, to);
        }
        let nginx = Nginx::builder().log_level("info").http(&conf).start();
        Site { s3, nginx, https: format!("https://localhost:{port}"), files }
    }

    fn endpoints(&self) -> [String; 2] {
        [format!("http://localhost:{}", self.nginx.port()), self.https.clone()]
    }

    fn certificate(&self) -> PathBuf {
        self.files.path().join("localhost.crt")
    }

    /// Stops it: every request must have been signed and answered.
    fn finish(self) {
        assert!(self.s3.requests() > 0);
        let log = self.nginx.stop();
        assert!(!log.contains("[error]"), "{log}");
    }
}

/// The programs of that name: the first on the PATH, and Debian's.
fn programs(name: &str) -> BTreeSet<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.exists());
    let debian = Some(Path::new("/usr/bin").join(name)).filter(|file| file.exists());
    first.into_iter().chain(debian).collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text
}

#[test]
fn boto3() {
    let site = Site::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3_clients/boto.py");
    let has_boto3 = |python: &PathBuf| {
        Command::new(python).args(["-c", "import boto3"]).output().is_ok_and(|o| o.status.success())
    };
    let pythons: Vec<_> = programs("python3").into_iter().filter(has_boto3).collect();
    assert!(!pythons.is_empty(), "no python3 has boto3: run \"make test\"");
    for python in pythons {
        for endpoint in site.endpoints() {
            let mut command = Command::new(&python);
            command.arg(&script).arg(&endpoint).arg(site.certificate());
            println!("{endpoint}: {}", run(&mut command).trim());
        }
    }
    site.finish();
}

/// `aws` as a new user has it.
fn aws(program: &Path, site: &Site, endpoint: &str, signs: bool, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(["--endpoint-url", endpoint, "--region", "eu-central-1"]).args(arguments);
    command.env("AWS_CA_BUNDLE", site.certificate());
    command.env("HOME", site.files.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    if signs {
        command.env("AWS_ACCESS_KEY_ID", "made-up").env("AWS_SECRET_ACCESS_KEY", "made-up");
    } else {
        command.arg("--no-sign-request");
    }
    run(&mut command)
}

#[test]
fn aws_cli() {
    let site = Site::start();
    let programs = programs("aws");
    assert!(!programs.is_empty(), "aws is not installed: run \"make test\"");
    let path = |name: &str| site.files.path().join(name).display().to_string();
    let small = b"some body".repeat(1000);
    let large: Vec<u8> = (0..64_u32 << 20).map(|n| (n % 251) as u8).collect();
    fs::create_dir_all(path("tree/a b")).unwrap();
    fs::write(path("tree/a b/Grüße+100%.txt"), &small).unwrap();
    fs::write(path("tree/empty"), b"").unwrap();
    fs::write(path("large"), &large).unwrap();
    for program in programs {
        for (endpoint, signs) in site.endpoints().iter().zip([true, false]) {
            let aws = |arguments: &[&str]| aws(&program, &site, endpoint, signs, arguments);
            aws(&["s3", "sync", &path("tree"), "s3://bucket/tree"]);
            let list = aws(&["s3", "ls", "--recursive", "--page-size", "1", "s3://bucket/tree/"]);
            assert!(
                list.contains("tree/a b/Grüße+100%.txt") && list.contains("tree/empty"),
                "{list}"
            );
            let copy = "s3://bucket/copy of it";
            aws(&["s3", "cp", "s3://bucket/tree/a b/Grüße+100%.txt", copy]);
            let _ = fs::remove_file(path("back"));
            aws(&["s3", "cp", copy, &path("back")]);
            assert!(fs::read(path("back")).unwrap() == small);
            let key = ["--bucket", "bucket", "--key", "copy of it"];
            let head = aws(&[&["s3api", "head-object"][..], &key].concat());
            assert!(head.contains("\"ContentLength\": 9000"), "{head}");
            let tags = ["--tagging", "TagSet=[{Key=a,Value=b c}]"];
            aws(&[&["s3api", "put-object-tagging"][..], &key, &tags].concat());
            let tags = aws(&[&["s3api", "get-object-tagging"][..], &key].concat());
            assert!(tags.contains("b c"), "{tags}");

            aws(&["s3", "cp", &path("large"), "s3://bucket/large"]);
            aws(&["s3", "cp", "s3://bucket/large", &path("back")]);
            assert!(fs::read(path("back")).unwrap() == large);

            let delete = "Objects=[{Key=copy of it},{Key=tree/empty}]";
            aws(&["s3api", "delete-objects", "--bucket", "bucket", "--delete", delete]);
            aws(&["s3", "rm", "--recursive", "s3://bucket/"]);
            let left = aws(&["s3api", "list-objects-v2", "--bucket", "bucket"]);
            assert!(!left.contains("\"Key\""), "{left}");
        }
    }
    site.finish();
}
