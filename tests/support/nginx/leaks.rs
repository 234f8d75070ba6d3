//! Secrets where they must not be: in the logs and in all else that nginx has written.

use std::fs;
use std::path::Path;

/// The directives whose value is a secret.
const SECRET: [&str; 3] = ["aws_signing_key", "aws_secret_key", "aws_session_token"];

/// The secrets in a configuration.
fn secrets(conf: &str) -> Vec<&str> {
    let words: Vec<&str> = conf.split([' ', '\n', '\t', ';', '{', '}']).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let values = words.windows(2).filter(|pair| SECRET.contains(&pair[0])).map(|pair| pair[1]);
    let values = values.map(|value| value.trim_matches(['"', '\'']));
    values.filter(|value| value.len() > 7 && !value.starts_with("file:")).collect()
}

/// Searches what nginx has written below `prefix` for the secrets of its configuration.
pub fn check(prefix: &Path, conf: &str) {
    let secrets = secrets(conf);
    if !secrets.is_empty() {
        check_dir(prefix, &secrets);
    }
}

fn check_dir(dir: &Path, secrets: &[&str]) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            check_dir(&path, secrets);
        // what the tests have written themselves is named so
        } else if !["conf", "keys", "secret"]
            .iter()
            .any(|end| path.extension() == Some(end.as_ref()))
        {
            let bytes = fs::read(&path).unwrap_or_default();
            for secret in secrets {
                let found = memchr::memmem::find(&bytes, secret.as_bytes());
                assert!(found.is_none(), "a secret is in {}", path.display());
            }
        }
    }
}
