//! `generate_signing_key` for rings: several days, directives, files, profiles.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use support::{Credentials, Nginx, SECRET_KEY, Verifier};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/generate_signing_key");

fn script(home: &Path, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(SCRIPT);
    for name in ["SECRET_ACCESS_KEY", "ACCESS_KEY_ID", "SESSION_TOKEN", "SHARED_CREDENTIALS_FILE"] {
        command.env_remove(format!("AWS_{name}"));
    }
    command.env("HOME", home).envs(variables.iter().copied()).args(args).output().unwrap()
}

fn run(args: &[&str]) -> Output {
    script(Path::new("/nonexistent"), &[("AWS_SECRET_ACCESS_KEY", SECRET_KEY)], args)
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{stderr}");
    assert!(stderr.contains(message) && !stderr.contains("Traceback"), "{stderr}");
    assert!(!stderr.contains(SECRET_KEY), "{stderr}");
}

#[test]
fn several_days_are_printed_in_their_order() {
    for (first, days) in [
        ("20261230", ["20261230", "20261231", "20270101", "20270102"]),
        ("20280227", ["20280227", "20280228", "20280229", "20280301"]),
        ("05000228", ["05000228", "05000301", "05000302", "05000303"]),
    ] {
        let scope = |day: &&str| format!("{day}/eu-west-1/s3/aws4_request");
        let plain = printed(&run(&["-r", "eu-west-1", "-d", first, "--days", "4"]));
        let nginx = printed(&run(&["-r", "eu-west-1", "-d", first, "--days", "4", "--nginx"]));
        let keys = days.map(|day| support::signing_key(day, "eu-west-1", "s3"));
        let pairs = || keys.iter().zip(&days);
        let lines: String = pairs().map(|(key, day)| format!("{key}\n{}\n", scope(day))).collect();
        assert_eq!(plain, lines);
        let line = |(key, day)| format!("aws_signing_key {key} {};\n", scope(day));
        assert_eq!(nginx, pairs().map(line).collect::<String>());
    }
    for days in ["0", "-1", "367", "1000", "x", "1.5", "", "٣"] {
        refused(&run(&["-r", "x", "--days", days]), "");
    }
    refused(&run(&["-r", "x", "-d", "99991231", "--days", "2"]), "end of the calendar");
    refused(&run(&["-r", "x", "--days", "2", "--no-base64"]), "--no-base64");
    refused(&run(&["-r", "x", "--nginx", "--no-base64"]), "--no-base64");
}

#[test]
fn what_is_printed_for_nginx_is_ready_to_be_included() {
    let s3 = Verifier::start(Credentials::default());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.conf");
    let path = file.display().to_string();
    let environment = [("AWS_SECRET_ACCESS_KEY", SECRET_KEY), ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")];
    for token in [None, Some("FQoGZXIvYXdzEXAMPLE+/==")] {
        let variables: Vec<_> = environment
            .into_iter()
            .chain(token.map(|token| ("AWS_SESSION_TOKEN", token)))
            .collect();
        let args = ["-r", "us-east-1", "--days", "7", "--nginx", "--output", &path];
        assert_eq!(printed(&script(dir.path(), &variables, &args)), "");
        let conf = format!(
            "include {path}; aws_s3_bucket bucket;
            server {{ listen 127.0.0.1:{{port}}; location / {{ aws_sign; proxy_pass http://{}; }} }}",
            s3.addr()
        );
        let nginx = Nginx::start(&conf);
        assert_eq!(support::get(nginx.addr(), "/x").status, 200);
        assert_eq!(s3.take()[0].header("X-Amz-Security-Token").as_deref(), token);
        assert!(!nginx.stop().contains("[warn]"));
    }
    let given = printed(&run(&["-r", "x", "--nginx", "--access-key", "AKIAOTHER"]));
    assert!(given.starts_with("aws_access_key AKIAOTHER;\naws_signing_key "), "{given}");
    for bad in ["a;b", "a b", "a/b", "$a", "\"a\"", "a\nb"] {
        refused(&run(&["-r", "x", "--nginx", "--access-key", bad]), "access key");
    }
}

#[test]
fn a_file_is_replaced_at_once_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys");
    let path = file.display().to_string();
    let names = || -> Vec<_> {
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for args in [
        &["-r", ""][..],
        &["-r", "x", "-d", "20260230"],
        &["-r", "x", "--days", "0"],
        &["-r", "x", "-k", "with space"],
        &["-r", "x", "--profile", "none"],
    ] {
        refused(&run(&[args, &["--output", &path]].concat()), "");
        assert_eq!((fs::read_to_string(&file).unwrap(), names().len()), ("old".to_owned(), 1));
    }
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("keys", &link).unwrap();
    for target in [&file, &link] {
        assert_eq!(printed(&run(&["-r", "x", "--output", &target.display().to_string()])), "");
        assert!(fs::read_to_string(&file).unwrap().ends_with("/x/s3/aws4_request\n"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(), ["keys", "link"]);
    }
    refused(
        &run(&["-r", "x", "--output", "/nonexistent/keys"]),
        "cannot write '/nonexistent/keys'",
    );
    refused(&run(&["-r", "x", "--output", &dir.path().display().to_string()]), "cannot write");
    assert_eq!(names(), ["keys", "link"]);

    // a disk that is full: a file of at most 512 bytes may be written
    let before = fs::read(&file).unwrap();
    let shell =
        format!("ulimit -f 1; trap '' XFSZ; exec '{SCRIPT}' -r x --days 300 --output '{path}'");
    let output = Command::new("bash")
        .args(["-c", &shell])
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .output()
        .unwrap();
    refused(&output, "cannot write");
    assert_eq!((fs::read(&file).unwrap(), names().len()), (before, 2));
}

#[test]
fn a_profile_holds_the_credentials() {
    let home = tempfile::tempdir().unwrap();
    let aws = home.path().join(".aws");
    fs::create_dir(&aws).unwrap();
    let content = format!(
        "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = other%%secret\n\n\
         [work]\naws_access_key_id=AKIDEXAMPLE\naws_secret_access_key={SECRET_KEY}\n\n\
         [temporary]\naws_access_key_id = A\naws_secret_access_key = s\naws_session_token = t/+=\n\
         [empty]\nregion = x\n"
    );
    fs::write(aws.join("credentials"), &content).unwrap();
    let own = home.path().join("own");
    fs::write(&own, content.replace("AKIDEXAMPLE", "AKIAOWN")).unwrap();
    let own = own.display().to_string();
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        let rest = ["-r", "us-east-1", "-d", "20160902", "--nginx"];
        script(home.path(), variables, &[&rest[..], args].concat())
    };
    let key = support::signing_key("20160902", "us-east-1", "s3");
    let key = format!("aws_signing_key {key} 20160902/us-east-1/s3/aws4_request;\n");
    let other =
        [("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SESSION_TOKEN", "x")];
    for variables in [&[][..], &other] {
        assert_eq!(
            printed(&run(variables, &["--profile", "work"])),
            format!("aws_access_key AKIDEXAMPLE;\n{key}")
        );
    }
    let file = [("AWS_SHARED_CREDENTIALS_FILE", &own[..])];
    assert!(printed(&run(&file, &["--profile", "work"])).starts_with("aws_access_key AKIAOWN;\n"));
    assert!(printed(&run(&[], &["--profile", "temporary"])).contains("aws_session_token t/+=;\n"));
    assert!(printed(&run(&[], &["--profile", "default"])).contains("AKIADEFAULT"));
    refused(&run(&[], &["--profile", "none"]), "profile 'none' is not in ");
    refused(&run(&[], &["--profile", "empty"]), "profile 'empty' has no secret access key");
    refused(&run(&[], &["--profile", "work", "-k", "x"]), "exclude each other");
    let none = [("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/file")];
    refused(&run(&none, &["--profile", "work"]), "cannot read '/nonexistent/file'");
    for broken in
        [format!("aws_secret_access_key = {SECRET_KEY}\n"), format!("[work]\n{SECRET_KEY}\n")]
    {
        fs::write(&own, broken).unwrap();
        refused(&run(&file, &["--profile", "work"]), "is no credentials file");
    }
}
