//! A value of any bytes is refused, or it holds nothing that could break out of where it goes.

use super::choice;
use crate::nginx::credential::{SecretKey, Token};
use crate::nginx::host;
use crate::nginx::methods::Methods;
use crate::nginx::passed::{Pattern, is_own};
use crate::nginx::target::{Origin, Target};
use crate::sigv4::{AmzDate, Day, Out, Scope, SigningKey};

/// Reads the value that follows the first byte as a directive does, and checks what was accepted.
pub fn values(data: &[u8]) {
    let Some((choice, value)) = choice(data) else { return };
    let only = |extra: &[u8]| {
        assert!(value.iter().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(byte)));
    };
    match choice % 9 {
        0 => {
            let Ok(scope) = Scope::parse(value) else { return };
            assert_eq!(scope.as_str().as_bytes(), value);
            assert!(value.iter().all(u8::is_ascii_graphic));
            let again = Scope::new(scope.day(), scope.region(), scope.service());
            assert_eq!(again, Ok(scope));
        }
        1 => {
            if SigningKey::from_base64(value).is_ok() {
                assert!(matches!(value.len(), 43 | 44));
                only(b"+/=");
            }
        }
        2 => {
            let _ = Token::new(value).map(|_| assert!(value.iter().all(u8::is_ascii_graphic)));
            let _ = SecretKey::new(value).map(|_| assert!(value.iter().all(u8::is_ascii_graphic)));
        }
        3 => {
            if host::bucket(value).is_some() {
                only(b".-");
                assert!(!value.starts_with(b".") && !value.ends_with(b"."));
            }
        }
        4 => {
            if host::endpoint(value).is_some() {
                only(b".-_:[]");
            }
        }
        5 => {
            let Ok(pattern) = Pattern::parse(value) else { return };
            for name in [&b"host"[..], b"authorization", b"content-length", b"range"] {
                assert!(!pattern.matches(name));
            }
            if let Pattern::Name(name) = &pattern {
                assert!(pattern.matches(name) && !is_own(name));
            }
        }
        6 => {
            let Ok(methods) = Methods::new(value.split(|byte| *byte == b' ')) else { return };
            for method in methods.allow().split(", ") {
                assert!(methods.contains(method.as_bytes()));
            }
        }
        7 => {
            let _ = Day::parse(value).map(|day| assert_eq!(day.to_string().as_bytes(), value));
        }
        _ => {
            let _ = AmzDate::parse(value).map(|date| assert_eq!(date.as_bytes(), value));
        }
    }
}

/// Takes a target apart that variables were pasted into: `data` has the target, the path, the query
/// and what the client sent, with the byte FF between them.
pub fn target(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0xff);
    let mut next = || parts.next().unwrap_or_default();
    let (wire, uri, args, sent) = (next(), next(), next(), next());
    for unparsed in [None, Some(sent)] {
        let target = Target::pasted(wire, Origin { uri, args, unparsed });
        let mut buf = vec![0; target.capacity()];
        let out = Out::new(&mut buf);
        let (path, query, _) = target.put(true, |_| true, out).expect("there is memory");
        assert!(path.starts_with(b"/"));
        let canonical = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(byte);
        assert!(path.iter().all(canonical));
        assert!(query.iter().all(|byte| canonical(byte) && *byte != b'/' || b"&=".contains(byte)));
    }
}
