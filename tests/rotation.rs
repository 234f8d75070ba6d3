//! `nginx-conf/rotation`: the recipe, step by step, with each step failing.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{Credentials, Nginx, SECRET_KEY, Verifier};

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/nginx-conf/rotation");

struct Site {
    dir: tempfile::TempDir,
    nginx: Nginx,
    s3: Verifier,
}

impl Site {
    fn start() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("aws-keys.conf");
        // yesterday's renewal
        fs::write(&file, format!("# old\n{}", support::directives())).unwrap();
        let s3 = Verifier::start(Credentials::default());
        let conf = fs::read_to_string(format!("{DIR}/aws-keys.nginx.conf")).unwrap();
        let conf = conf
            .replace("/etc/nginx/aws-keys.conf", &file.display().to_string())
            .replace("listen 80;", "listen 127.0.0.1:{port};")
            .replace("https://my-bucket.s3.amazonaws.com", &format!("http://{}", s3.addr()));
        let nginx = Nginx::start(&conf);
        Site { dir, nginx, s3 }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("aws-keys.conf")
    }

    fn renew(&self, variables: &[(&str, &str)]) -> Output {
        let nginx = format!(
            "{} -p {1} -c {1}/nginx.conf",
            support::nginx::binary().display(),
            self.nginx.prefix().display()
        );
        Command::new(Path::new(DIR).join("renew-aws-keys"))
            .env("GENERATE", concat!(env!("CARGO_MANIFEST_DIR"), "/generate_signing_key"))
            .env("NGINX", nginx)
            .env("AWS_KEYS_FILE", self.file())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    fn content(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn serves(&self) {
        assert_eq!(support::get(self.nginx.addr(), "/x").status, 200);
        assert_eq!(self.s3.take()[0].verdict, Ok(()));
        let mut names: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.retain(|name| name != "aws-keys.conf.lock" && name != "aws-keys.conf");
        assert!(names.is_empty(), "{names:?}");
    }
}

#[test]
fn a_week_of_keys_is_put_in_place() {
    let site = Site::start();
    for _ in 0..2 {
        let old = site.nginx.worker_pids();
        let output = site.renew(&[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(site.content().matches("aws_signing_key").count(), 7);
        let reloaded =
            || !site.nginx.worker_pids().is_empty() && site.nginx.worker_pids().is_disjoint(&old);
        assert!(support::wait_until(std::time::Duration::from_secs(10), reloaded));
        site.serves();
    }
}

#[test]
fn a_step_that_fails_leaves_the_old_keys() {
    let site = Site::start();
    for (variables, complaint) in [
        (&[("AWS_SECRET_ACCESS_KEY", "not good")][..], "no new keys; nginx goes on"),
        (&[("AWS_REGION", "")], "no new keys; nginx goes on"),
        (&[("GENERATE", "/nonexistent")], "no new keys; nginx goes on"),
        // "nginx -t" fails for whatever reason
        (&[("NGINX", "false")], "the old keys are back"),
        (&[("NGINX", "/nonexistent")], "the old keys are back"),
        // the new keys lack something that the configuration wants
        (&[("AWS_ACCESS_KEY_ID", "")], "no \"aws_access_key\" is defined"),
    ] {
        let workers = site.nginx.worker_pids();
        let output = site.renew(variables);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && stderr.contains(complaint), "{stderr}");
        assert!(!stderr.contains(SECRET_KEY));
        assert!(site.content().starts_with("# old"), "{variables:?}");
        assert_eq!(site.nginx.worker_pids(), workers);
        site.serves();
    }
    // a reload that fails leaves the new keys, for the next one
    let script = site.dir.path().parent().unwrap().join(format!("nginx-{}", std::process::id()));
    fs::write(&script, "#!/bin/sh\n[ \"$1\" = -t ]\n").unwrap();
    let run = format!("sh {}", script.display());
    let output = site.renew(&[("NGINX", &run)]);
    fs::remove_file(script).unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nginx was not reloaded"));
    assert_eq!(site.content().matches("aws_signing_key").count(), 7);
    site.serves();
}

#[test]
fn the_units_name_what_is_there() {
    let read = |name: &str| fs::read_to_string(format!("{DIR}/{name}")).unwrap();
    assert!(read("aws-keys.service").contains("ExecStart=/usr/local/sbin/renew-aws-keys\n"));
    assert!(read("aws-keys.service").contains("EnvironmentFile=/etc/default/aws-keys\n"));
    assert!(read("aws-keys.timer").contains("Persistent=true\n"));
    assert!(
        read("aws-keys.cron")
            .contains(". /etc/default/aws-keys; exec /usr/local/sbin/renew-aws-keys")
    );
    for line in read("aws-keys.default").lines().filter(|line| !line.starts_with('#')) {
        let name = line.split_once('=').unwrap().0;
        let used = [
            read("renew-aws-keys"),
            fs::read_to_string(format!("{DIR}/../../generate_signing_key")).unwrap(),
        ];
        assert!(used.iter().any(|text| text.contains(name)), "{name}");
    }
}
