//! A real nginx in a directory of its own.

mod conf;
mod leaks;

pub use conf::nginx as binary;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use super::wait_until;
use conf::Conf;

/// How long nginx may take to start, to reload or to stop.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running nginx.
///
/// However it ends, its processes end with it. It is an error if it logged an alert or worse, or a
/// worker crashed: see [`allow_log`](Self::allow_log).
pub struct Nginx {
    child: Option<Child>,
    conf: Conf,
    prefix: TempDir,
    allowed: Mutex<Vec<String>>,
}

/// An nginx that is not started yet.
#[derive(Default)]
pub struct Builder {
    conf: Conf,
    envs: Vec<(String, String)>,
}

impl Builder {
    /// More directives for the main context; they take the place of the runner's own.
    pub fn main(mut self, directives: &str) -> Self {
        self.conf.main += directives;
        self.conf.main += "\n";
        self
    }

    /// The contents of the `http` block, with `{port}` and `{prefix}` in them.
    pub fn http(mut self, conf: &str) -> Self {
        self.conf.http = conf.to_owned();
        self
    }

    pub fn workers(mut self, count: u32) -> Self {
        self.conf.workers = count;
        self
    }

    /// The level of `error.log`, `debug` if not set.
    pub fn log_level(mut self, level: &str) -> Self {
        self.conf.log_level = level.to_owned();
        self
    }

    /// Leaves `load_module` out.
    pub fn without_module(mut self) -> Self {
        self.conf.module = false;
        self
    }

    /// A variable in the environment of nginx.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it, and waits until its workers run.
    pub fn start(self) -> Nginx {
        let (mut nginx, mut command) = self.prepare();
        let stderr = File::create(nginx.prefix().join("stderr.log")).unwrap();
        nginx.child = Some(command.stdin(Stdio::null()).stderr(stderr).spawn().unwrap());
        let mut exited = None;
        let up = wait_until(TIMEOUT, || {
            exited = nginx.child.as_mut().and_then(|child| child.try_wait().unwrap());
            exited.is_some() || !nginx.worker_pids().is_empty()
        });
        if !up || exited.is_some() {
            let stderr = fs::read_to_string(nginx.prefix().join("stderr.log"));
            panic!("nginx did not start ({exited:?}):\n{}", stderr.unwrap_or_default());
        }
        nginx
    }

    /// Only has the configuration tested: whether it is good, and what nginx wrote to stderr.
    pub fn test(self) -> (bool, String) {
        let (_nginx, mut command) = self.prepare();
        let output = command.arg("-t").output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What `nginx -T` prints.
    pub fn dump(self) -> String {
        let (_nginx, mut command) = self.prepare();
        let output = command.arg("-T").output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn prepare(self) -> (Nginx, Command) {
        let prefix = tempfile::Builder::new().prefix("nginx-").tempdir().unwrap();
        let mut conf = self.conf;
        conf.port = super::free_port();
        let nginx = Nginx { child: None, conf, prefix, allowed: Mutex::default() };
        nginx.conf.write(nginx.prefix());
        let mut command = Command::new(conf::nginx());
        command.arg("-p").arg(nginx.prefix()).arg("-c").arg(nginx.prefix().join("nginx.conf"));
        command.arg("-e").arg(nginx.prefix().join("error.log")).envs(self.envs);
        (nginx, command)
    }
}

impl Nginx {
    /// Starts an nginx with the module; `http` is what [`Builder::http`] takes.
    pub fn start(http: &str) -> Self {
        Self::builder().http(http).start()
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What stands for `{port}`.
    pub fn port(&self) -> u16 {
        self.conf.port
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    pub fn prefix(&self) -> &Path {
        self.prefix.path()
    }

    pub fn master_pid(&self) -> u32 {
        self.child.as_ref().expect("a running nginx").id()
    }

    /// The workers that take requests, without those that are shutting down.
    pub fn worker_pids(&self) -> BTreeSet<u32> {
        // the title stands behind other words when nginx was started through a loader, and there is
        // none where valgrind runs it
        let is_worker = |pid: &u32| {
            let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let title = String::from_utf8_lossy(&title);
            let worker = ["nginx: worker process", "valgrind"].iter().any(|s| title.contains(s));
            let quits =
                || self.error_log().contains(&format!("{pid}#{pid}: gracefully shutting down"));
            worker && !title.contains("is shutting down") && !quits()
        };
        self.children().into_iter().filter(is_worker).collect()
    }

    fn children(&self) -> Vec<u32> {
        let pid = self.master_pid();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        list.unwrap_or_default().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Sends a signal (`HUP`, `USR1`, ...) to the master.
    pub fn signal(&self, signal: &str) {
        assert!(super::kill(self.master_pid(), signal), "nginx is gone");
    }

    /// Replaces the `http` block on disk, and nothing else.
    pub fn write_conf(&mut self, http: &str) {
        self.conf.http = http.to_owned();
        self.conf.write(self.prefix.path());
    }

    /// Replaces the `http` block and waits until new workers have taken over.
    pub fn reload(&mut self, http: &str) {
        let old = self.worker_pids();
        let logged = self.error_log().len();
        self.write_conf(http);
        self.signal("HUP");
        let mut refused = false;
        let up = wait_until(TIMEOUT, || {
            let new = self.worker_pids();
            refused = self.error_log().get(logged..).is_some_and(|log| log.contains("[emerg]"));
            refused || (!new.is_empty() && new.is_disjoint(&old))
        });
        assert!(up && !refused, "nginx did not reload:\n{}", self.notices());
    }

    /// `error.log` as it is now.
    pub fn error_log(&self) -> String {
        let log = fs::read(self.prefix().join("error.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// What [`error_log`](Self::error_log) has above the level `debug`.
    pub fn notices(&self) -> String {
        let log = self.error_log();
        // a debug message may have more than one line
        let lines = log.lines().filter(|line| !matches!(level(line), "" | "[debug]"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Waits for a line with `pattern` in it.
    pub fn wait_for_log(&self, pattern: &str, timeout: Duration) -> String {
        let mut found = None;
        wait_until(timeout, || {
            let log = self.error_log();
            found = log.lines().find(|line| line.contains(pattern)).map(str::to_owned);
            found.is_some()
        });
        found.unwrap_or_else(|| panic!("{pattern:?} is not in the log:\n{}", self.notices()))
    }

    /// Lines with `substring` in them are no error.
    pub fn allow_log(&self, substring: &str) {
        self.allowed.lock().unwrap().push(substring.to_owned());
    }

    /// Stops it gracefully and returns what it logged.
    pub fn stop(mut self) -> String {
        self.signal("QUIT");
        let status = self.wait(TIMEOUT);
        assert!(status.is_some(), "nginx does not quit:\n{}", self.notices());
        self.check(status);
        self.error_log()
    }

    /// Waits for its end, after which there is no child any more.
    fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let mut status = None;
        wait_until(timeout, || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        if status.is_some() {
            self.child = None;
        }
        status
    }

    fn check(&self, status: Option<ExitStatus>) {
        let log = self.error_log();
        let allowed = self.allowed.lock().unwrap();
        let bad = |line: &&str| {
            matches!(level(line), "[alert]" | "[emerg]" | "[crit]")
                || ["exited on signal", "exited with code 99", "panicked at"]
                    .iter()
                    .any(|s| line.contains(s))
        };
        let lines: Vec<_> = log
            .lines()
            .filter(bad)
            .filter(|line| !allowed.iter().any(|substring| line.contains(substring)))
            .collect();
        assert!(lines.is_empty(), "nginx logged:\n{}", lines.join("\n"));
        leaks::check(self.prefix(), &self.conf.http);
        assert!(status.is_none_or(|status| status.success()), "nginx: {status:?}");
    }
}

/// The level of a line of the log, with its brackets; nothing if no message begins there.
fn level(line: &str) -> &str {
    line.split(' ').nth(2).filter(|word| word.starts_with('[')).unwrap_or_default()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if self.child.is_none() {
            return;
        }
        let failing = std::thread::panicking();
        let mut status = None;
        // a connection that a test left open keeps nginx from quitting
        for signal in if failing { &["TERM"][..] } else { &["QUIT", "TERM"] } {
            super::kill(self.master_pid(), signal);
            status = self.wait(Duration::from_secs(5));
            if status.is_some() {
                break;
            }
        }
        let killed = self.child.is_some();
        if killed {
            let children = self.children();
            for pid in children.into_iter().chain([self.master_pid()]) {
                super::kill(pid, "KILL");
            }
            self.wait(TIMEOUT);
        }
        if failing {
            eprintln!("error.log of nginx:\n{}", self.notices());
        } else {
            assert!(!killed, "nginx had to be killed:\n{}", self.notices());
            self.check(status);
        }
    }
}
