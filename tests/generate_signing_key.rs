//! `generate_signing_key`: the keys that AWS publishes, the forms of the C module's script, and a
//! clear refusal of everything that cannot be a key.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/generate_signing_key");

fn command() -> Command {
    let mut command = Command::new(SCRIPT);
    command.env_remove("AWS_SECRET_ACCESS_KEY").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

fn with_stdin(input: &[u8], args: &[&str]) -> Output {
    let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
    let mut child =
        command().args(args).stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The output of a run that went well and had nothing to say besides.
fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let text = text(&output.stdout);
    assert!(text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

/// The message of a run that was refused.
fn refused(output: &Output) -> String {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(text(&output.stdout), "");
    assert!(message.contains("generate_signing_key: error: "), "{message}");
    assert!(!message.contains("Traceback") && !message.contains(SECRET), "{message}");
    message
}

fn utc_today() -> String {
    let output = Command::new("date").args(["-u", "+%Y%m%d"]).output().unwrap();
    text(&output.stdout).trim().to_owned()
}

#[test]
fn the_published_keys_come_out() {
    for (service, date, key) in [
        (&[][..], "20160902", "L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4="),
        (&["-s", "service"], "20150830", "k4EntTNoEN22pdavRF/KyeNx+e1BjtOGsCKu2CkBvnU="),
    ] {
        let args = [&["-k", SECRET, "-r", "us-east-1", "-d", date], service].concat();
        let scope = format!("{date}/us-east-1/{}/aws4_request", service.last().unwrap_or(&"s3"));
        assert_eq!(lines(&run(&args)), [key, &scope]);
    }
    let long = ["--secret-key", SECRET, "--region", "us-east-1", "--service", "s3", "--date"];
    let output = run(&[&long[..], &["20160902"]].concat());
    assert_eq!(lines(&output)[0], "L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4=");
}

#[test]
fn the_day_is_that_of_utc_wherever_one_is() {
    for zone in ["Pacific/Kiritimati", "<+14>-14", "<-12>12", "UTC"] {
        let before = utc_today();
        let output = command().args(["-k", SECRET, "-r", "x"]).env("TZ", zone).output().unwrap();
        let after = utc_today();
        let scope = lines(&output).remove(1);
        let scope_of = |day: &str| format!("{day}/x/s3/aws4_request");
        assert!(scope == scope_of(&before) || scope == scope_of(&after), "{zone}: {scope}");
    }
}

#[test]
fn the_key_may_be_printed_as_it_is() {
    let output = run(&["-k", SECRET, "-r", "us-east-1", "-d", "20160902", "--no-base64"]);
    let (key, rest) = output.stdout.split_at(32);
    assert_eq!(key[..4], [0x2f, 0x8b, 0xd1, 0x2d]);
    assert_eq!(key[28..], [0xa2, 0xdb, 0x46, 0x9e]);
    assert_eq!(rest, b"\n20160902/us-east-1/s3/aws4_request\n");
}

#[test]
fn the_secret_need_not_be_an_argument() {
    let key =
        ["L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4=", "20160902/us-east-1/s3/aws4_request"];
    let rest = ["-r", "us-east-1", "-d", "20160902"];
    let environment = command().args(rest).env("AWS_SECRET_ACCESS_KEY", SECRET).output().unwrap();
    assert_eq!(lines(&environment), key);
    for end in ["", "\n", "\r\n", "\nanother line\n"] {
        let input = format!("{SECRET}{end}");
        let args = [&["-k", "-"], &rest[..]].concat();
        assert_eq!(lines(&with_stdin(input.as_bytes(), &args)), key, "{end:?}");
    }
    let both = command()
        .args(["-k", SECRET, "-r", "us-east-1", "-d", "20160902"])
        .env("AWS_SECRET_ACCESS_KEY", "another")
        .output()
        .unwrap();
    assert_eq!(lines(&both), key);
}

#[test]
fn it_runs_through_a_link_and_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("key of the day");
    std::os::unix::fs::symlink(SCRIPT, &link).unwrap();
    let output = Command::new(&link)
        .current_dir(Path::new("/"))
        .args(["-k", SECRET, "-r", "us-east-1", "-d", "20160902"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert_eq!(lines(&output)[0], "L4vRLWAO92X5L3Sqk5QydUSdB0nC9+1wfqLMOKLbRp4=");
}

#[test]
fn notes_go_to_stderr_without_secrets() {
    let quiet = run(&["-k", SECRET, "-r", "us-east-1"]);
    let verbose = run(&["-k", SECRET, "-r", "us-east-1", "-v"]);
    assert!(verbose.status.success());
    assert_eq!(verbose.stdout, quiet.stdout);
    let notes = text(&verbose.stderr);
    assert!(notes.contains("us-east-1") && notes.contains("s3"), "{notes}");
    assert!(!notes.contains(SECRET) && !notes.contains(&lines(&quiet)[0]), "{notes}");
}

#[test]
fn what_is_no_date_region_or_service_is_refused() {
    for date in [
        "",
        "2016090",
        "201609021",
        "20160230",
        "20161301",
        "00000101",
        "2016-9-2",
        "+2016090",
        "2016090a",
        " 20160902",
        "20160902\n",
        "٢٠١٦٠٩٠٢",
    ] {
        let message = refused(&run(&["-k", SECRET, "-r", "us-east-1", "-d", date]));
        assert!(message.contains("date"), "{message}");
    }
    for part in ["", " ", "a b", "a/b", "a\n", "é"] {
        let message = refused(&run(&["-k", SECRET, "-r", part]));
        assert!(message.contains("region"), "{message}");
        let message = refused(&run(&["-k", SECRET, "-r", "us-east-1", "-s", part]));
        assert!(message.contains("service"), "{message}");
    }
    assert!(refused(&run(&["-k", SECRET])).contains("region"));
}

#[test]
fn what_is_no_secret_is_refused_and_not_shown() {
    for secret in ["", " ", "with space", " lead", "trail ", "tab\there", "line\n", "caf\u{e9}"] {
        for output in [
            run(&["-k", secret, "-r", "us-east-1"]),
            command().args(["-r", "x"]).env("AWS_SECRET_ACCESS_KEY", secret).output().unwrap(),
        ] {
            let message = refused(&output);
            assert!(message.contains("secret key"), "{message}");
            assert!(secret.trim().is_empty() || !message.contains(secret.trim()), "{message}");
        }
    }
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    refused(&command().arg("-k").arg(bytes).args(["-r", "x"]).output().unwrap());
    for input in [&b""[..], b"\n", b"\xff\xfe\n", b" spaced \n"] {
        refused(&with_stdin(input, &["-k", "-", "-r", "us-east-1"]));
    }
    assert!(refused(&run(&["-r", "us-east-1"])).contains("AWS_SECRET_ACCESS_KEY"));
    // a secret in the wrong place is not repeated either
    refused(&run(&["-k", "x", "-r", "us-east-1", SECRET]));
}

#[test]
fn a_closed_output_is_no_crash() {
    let shell = format!("'{SCRIPT}' -k x -r y >&-; echo $?; '{SCRIPT}' -k x -r y 2>&1 | :");
    let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
    assert_eq!(text(&output.stdout), "2\n");
    assert!(!text(&output.stderr).contains("Traceback"), "{}", text(&output.stderr));
}
