//! Prints what a request is signed with, stage by stage, to set against what S3 says in a
//! `SignatureDoesNotMatch` error.

use std::env;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use ngx_http_aws_auth_module::sigv4::uri::{self, encode_path, encode_query, normalize_path};
use ngx_http_aws_auth_module::sigv4::{
    ALGORITHM, AmzDate, CanonicalRequest, Headers, Out, PayloadHash, Scope, SigningKey,
    is_credential_byte,
};

const USAGE: &str = "\
usage: sign --scope DATE/REGION/SERVICE/aws4_request --access-key ID [option]... URL

Prints the canonical request, the string to sign, the signature and the
Authorization header of a request, as the module would sign it.

  --scope SCOPE       the credential scope, such as 20150830/us-east-1/s3/aws4_request
  --access-key ID     the access key ID
  --date DATE         X-Amz-Date, such as 20150830T123600Z (default: now)
  --method METHOD     the method (default: GET)
  -H 'NAME: VALUE'    a further header to sign; Host takes the place of the URL's
  --payload FILE      the body (default: none)
  -h, --help          this text

The signing key is AWS_SIGNING_KEY (base64) in the environment, or follows from
AWS_SECRET_ACCESS_KEY. Without either there is no signature.
";

/// What the command line asks for.
struct Request {
    scope: Scope,
    access_key: String,
    date: AmzDate,
    method: String,
    /// The headers to sign but for `X-Amz-Content-Sha256` and `X-Amz-Date`.
    headers: Vec<(String, String)>,
    payload: PayloadHash,
    path: String,
    query: String,
}

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> =
        env::args_os().skip(1).map(|a| a.into_string()).collect();
    let result = match arguments {
        Ok(arguments) if arguments.iter().any(|a| matches!(&a[..], "--help" | "-h")) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(arguments) => read(arguments).and_then(|request| print(&request)),
        Err(_) => Err("an argument is not UTF-8: percent-encode it".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // one line, whatever of the command line is in it
            eprintln!("sign: {}", error.replace(char::is_control, "?"));
            ExitCode::from(2)
        }
    }
}

/// Reads the command line.
fn read(arguments: Vec<String>) -> Result<Request, String> {
    let (mut scope, mut access_key, mut date, mut url) = (None, None, None, None);
    let mut method = "GET".to_owned();
    let mut headers = Vec::new();
    let mut payload = PayloadHash::EMPTY;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match &argument[..] {
            "--scope" => {
                let text = value()?;
                let read = Scope::parse(text.as_bytes());
                scope = Some(read.map_err(|error| format!("--scope {text}: {error}"))?);
            }
            "--access-key" => {
                let text = value()?;
                if text.is_empty() || !text.bytes().all(is_credential_byte) {
                    return Err(format!("--access-key {text}: it cannot stand in a credential"));
                }
                access_key = Some(text);
            }
            "--date" => {
                let text = value()?;
                let read = AmzDate::parse(text.as_bytes());
                date =
                    Some(read.ok_or(format!("--date {text}: not of the form 20150830T123600Z"))?);
            }
            "--method" => {
                method = value()?;
                if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
                    return Err(format!("--method {method}: not a method in upper case"));
                }
            }
            "-H" => headers.push(header(&value()?)?),
            "--payload" => {
                let name = value()?;
                let body = std::fs::read(&name).map_err(|error| format!("{name}: {error}"))?;
                payload = PayloadHash::of(&body);
            }
            _ if argument.starts_with('-') => {
                return Err(format!("{argument}: no such option, see --help"));
            }
            _ if url.is_some() => return Err(format!("{argument}: there is a URL already")),
            _ => url = Some(argument),
        }
    }
    let url = url.ok_or("a URL is missing, see --help")?;
    let (host, path, query) = split(&url).map_err(|error| format!("{url}: {error}"))?;
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.push(("Host".to_owned(), host.to_owned()));
    }
    Ok(Request {
        scope: scope.ok_or("--scope is missing, see --help")?,
        access_key: access_key.ok_or("--access-key is missing, see --help")?,
        date: date.or_else(now).ok_or("the clock is off: give a --date")?,
        method,
        headers,
        payload,
        path: path.to_owned(),
        query: query.to_owned(),
    })
}

fn now() -> Option<AmzDate> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    AmzDate::from_unix(since.as_secs().try_into().ok()?)
}

/// Reads `name: value`.
fn header(text: &str) -> Result<(String, String), String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let (name, value) = text.split_once(':').ok_or(format!("-H {text}: there is no colon"))?;
    if name.is_empty() || !name.bytes().all(token) || value.contains(['\r', '\n', '\0']) {
        return Err(format!("-H {name}: not a header"));
    }
    match &name.to_ascii_lowercase()[..] {
        "x-amz-date" => Err(format!("-H {name}: give it as --date")),
        "x-amz-content-sha256" => Err(format!("-H {name}: it follows from --payload")),
        "authorization" => Err(format!("-H {name}: it cannot be signed")),
        _ => Ok((name.to_owned(), value.to_owned())),
    }
}

/// The value of `Host`, the path and the query of a URL.
fn split(url: &str) -> Result<(&str, &str, &str), &'static str> {
    let (scheme, rest) =
        url.split_once("://").ok_or("it does not begin with http:// or https://")?;
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Err("it does not begin with http:// or https://"),
    };
    // a fragment is never sent
    let rest = rest.split('#').next().unwrap_or(rest);
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = host.strip_suffix(default).unwrap_or(host);
    let bad = |b: u8| !b.is_ascii_graphic() || b == b'@';
    if host.is_empty() || host.bytes().any(bad) {
        return Err("the host is missing or has an illegal character");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok((host, if path.is_empty() { "/" } else { path }, query))
}

/// The signing key, should the environment have one. No error shows what it is.
fn key(scope: &Scope) -> Result<Option<SigningKey>, String> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(text) = set("AWS_SIGNING_KEY") {
        let key = SigningKey::from_base64(text.as_encoded_bytes());
        return key.map(Some).map_err(|error| format!("AWS_SIGNING_KEY: {error}"));
    }
    let Some(secret) = set("AWS_SECRET_ACCESS_KEY") else { return Ok(None) };
    let secret = secret.to_str().ok_or("AWS_SECRET_ACCESS_KEY: it is not UTF-8")?;
    Ok(Some(SigningKey::derive(secret, scope)))
}

/// Signs the request and prints the stages.
fn print(request: &Request) -> Result<(), String> {
    let Request { scope, date, payload, .. } = request;
    let key = key(scope)?;
    if date.day() != scope.day() {
        eprintln!("sign: warning: {date} is not on the day of the scope, AWS will refuse it");
    }
    let (path, query) = (request.path.as_bytes(), request.query.as_bytes());
    let mut path = written(uri::encoded_len(path), |out| encode_path(path, out));
    if !scope.is_s3() {
        path = written(uri::normalized_len(&path), |out| normalize_path(&path, out));
    }
    let mut sorted = Ok(());
    let query = written(uri::query_len(query), |out| sorted = encode_query(query, out));
    sorted.map_err(|error| error.to_string())?;

    let mut headers = Headers::new();
    let own =
        [(&b"X-Amz-Content-Sha256"[..], payload.as_bytes()), (b"X-Amz-Date", date.as_bytes())];
    let given = request.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    for (name, value) in own.into_iter().chain(given) {
        headers.insert(name, value).map_err(|error| error.to_string())?;
    }
    let canonical = CanonicalRequest {
        method: request.method.as_bytes(),
        path: &path,
        query: &query,
        headers: &headers,
        payload: *payload,
    };
    let to_sign = canonical.string_to_sign(*date, scope);
    println!("--- canonical request\n{}", text(|text| canonical.write_to(text)));
    println!("--- string to sign\n{}", text(|text| to_sign.write_to(text)));
    let Some(key) = key else {
        eprintln!("sign: no signature: neither AWS_SIGNING_KEY nor AWS_SECRET_ACCESS_KEY is set");
        return Ok(());
    };
    let signature = to_sign.sign(&key);
    println!("--- signature\n{signature}");
    println!(
        "--- authorization\n{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, \
         Signature={signature}",
        request.access_key,
        text(|text| headers.put_names(text)),
    );
    Ok(())
}

fn written(capacity: usize, write: impl FnOnce(&mut Out<'_>)) -> Vec<u8> {
    let mut buf = vec![0; capacity];
    let mut out = Out::new(&mut buf);
    write(&mut out);
    out.written().to_vec()
}

/// What `write` writes; a command line that was UTF-8 makes nothing else.
fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut text = Vec::new();
    write(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
