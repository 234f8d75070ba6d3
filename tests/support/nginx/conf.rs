//! The configuration around the `http` block of a test.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a configuration is written from.
pub struct Conf {
    pub main: String,
    pub http: String,
    pub workers: u32,
    pub log_level: String,
    pub module: bool,
    pub port: u16,
}

impl Default for Conf {
    fn default() -> Self {
        Conf {
            main: String::new(),
            http: String::new(),
            workers: 1,
            log_level: "debug".to_owned(),
            module: true,
            port: 0,
        }
    }
}

impl Conf {
    /// Writes `nginx.conf`.
    pub fn write(&self, prefix: &Path) {
        let Conf { workers, log_level, port, .. } = self;
        let dir = prefix.display();
        let fill = |conf: &str| {
            conf.replace("{port}", &port.to_string()).replace("{prefix}", &dir.to_string())
        };
        let mut conf = String::new();
        if self.module {
            conf += &format!("load_module {};\n", module().display());
        }
        let main = fill(&self.main);
        let defaults = format!(
            "daemon off\nmaster_process on\npid {dir}/nginx.pid\n\
             error_log {dir}/error.log {log_level}\nworker_processes {workers}\n"
        );
        conf += &without(&main, &defaults);
        // the prefix is root's alone, and so is what nginx has to write to
        let root = fs::metadata(prefix).unwrap().uid() == 0;
        if root {
            conf += &without(&main, "user root\n");
        }
        conf += &main;
        if !sets(&main, "events") {
            conf += "events { worker_connections 512; }\n";
        }
        let http = fill(&self.http);
        let mut defaults = "access_log off\n".to_owned();
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            defaults += &format!("{name}_temp_path {dir}/{name}_temp\n");
        }
        let defaults = without(&http, &defaults);
        conf += &format!("http {{\n{defaults}{http}\n}}\n");
        // a reload must not see half of it
        let part = prefix.join("nginx.conf.part");
        fs::write(&part, conf).unwrap();
        fs::rename(part, prefix.join("nginx.conf")).unwrap();
    }
}

/// Those directives of `defaults`, one a line, that `conf` does not set itself.
fn without(conf: &str, defaults: &str) -> String {
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let lines = defaults.lines().filter(|line| !sets(conf, &name(line)));
    lines.map(|line| format!("{line};\n")).collect()
}

/// Whether `conf` has the directive outside of its blocks.
fn sets(conf: &str, name: &str) -> bool {
    let mut depth = 0;
    let mut word = String::new();
    let mut begins = true;
    for c in conf.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if matches!(c, '{' | '}' | ';' | '\n') || c.is_whitespace() {
            if depth <= i32::from(c == '{') && begins && word == name {
                return true;
            }
            begins = matches!(c, '{' | '}' | ';') || (begins && word.is_empty());
            word.clear();
        } else {
            word.push(c);
        }
    }
    false
}

/// The nginx to test.
pub fn nginx() -> PathBuf {
    find("TEST_NGINX", "target/release/nginx")
}

fn module() -> PathBuf {
    find("TEST_NGINX_MODULE", "target/release/ngx_http_aws_auth_module.so")
}

fn find(variable: &str, default: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from);
    root.join(&path)
        .canonicalize()
        .unwrap_or_else(|_| panic!("no {}: run make first, or set {variable}", path.display()))
}
