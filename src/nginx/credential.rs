//! Whose signature is made, and with the key of which day.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::sigv4::{Day, Scope, SigningKey};

/// A signing key with all that goes with it into a request.
pub struct Credential {
    scope: Scope,
    key: Rc<SigningKey>,
    /// `access key/scope`, as it stands in `Authorization`.
    text: Box<[u8]>,
    token: Option<Rc<Token>>,
}

/// A session token, the value of `X-Amz-Security-Token`.
pub struct Token(Zeroizing<Box<[u8]>>);

impl Token {
    /// The token with these bytes; `None` if a header cannot have them.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let legal = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
        legal.then(|| Token(Zeroizing::new(bytes.into())))
    }
}

impl Credential {
    /// The credential of `access_key` and the signing key of `scope`.
    pub fn new(
        access_key: &[u8],
        scope: Scope,
        key: Rc<SigningKey>,
        token: Option<Rc<Token>>,
    ) -> Self {
        let text = [access_key, b"/", scope.as_str().as_bytes()].concat().into();
        Credential { scope, key, text, token }
    }

    /// The scope of the signing key.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The signing key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// `access key/scope`, as it stands in `Authorization`.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The session token, if the key is a temporary one.
    pub fn token(&self) -> Option<&[u8]> {
        self.token.as_ref().map(|token| &**token.0)
    }
}

/// The keys that a location signs with.
pub enum Keys {
    /// One key, good or not: the server is the judge.
    Single(Rc<Credential>),
    /// Keys of several days, sorted.
    Ring(Vec<Rc<Credential>>),
    /// A secret access key that gives each day its key.
    Secret(Secret),
}

/// A secret access key, and the key of the day that was last asked for.
pub struct Secret {
    pub access_key: Rc<[u8]>,
    pub secret: Rc<SecretKey>,
    pub region: Rc<str>,
    pub service: Rc<str>,
    pub token: Option<Rc<Token>>,
    pub today: RefCell<Option<Rc<Credential>>>,
}

/// A secret access key.
pub struct SecretKey(Zeroizing<Box<str>>);

impl SecretKey {
    /// The key in `text`; `None` if no secret access key has such characters.
    pub fn new(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let legal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        legal.then(|| SecretKey(Zeroizing::new(text.into())))
    }
}

impl Keys {
    /// Whose signature is made on a day; `None` when no key is good on it.
    pub fn on(&self, day: Day) -> Option<Rc<Credential>> {
        match self {
            Keys::Single(credential) => Some(credential.clone()),
            Keys::Ring(credentials) => credentials
                .binary_search_by_key(&day, |credential| credential.scope.day())
                .ok()
                .map(|place| credentials[place].clone()),
            Keys::Secret(secret) => secret.on(day),
        }
    }

    /// The day of the last key; `None` when there is a key for every day.
    pub fn last_day(&self) -> Option<Day> {
        match self {
            Keys::Single(credential) => Some(credential.scope.day()),
            Keys::Ring(credentials) => credentials.last().map(|last| last.scope.day()),
            Keys::Secret(_) => None,
        }
    }

    /// What is wrong with the keys on `today`, as far as time goes.
    pub fn complaint(&self, today: Day) -> Option<String> {
        match self {
            Keys::Single(credential) => {
                let day = credential.scope.day();
                (day != today).then(|| {
                    format!(
                        "the signing key is for {day}, but today is {today} (UTC): the server will \
                         refuse what it signs"
                    )
                })
            }
            Keys::Ring(credentials) => {
                let missing = self.on(today).is_none();
                missing.then(|| {
                    format!(
                        "no signing key is for today, {today} (UTC), there are keys for {}",
                        Days(credentials)
                    )
                })
            }
            Keys::Secret(_) => None,
        }
    }

    /// What will soon be wrong: the ring is at its end, or lacks a day.
    pub fn warnings(&self, today: Day) -> Vec<String> {
        let Keys::Ring(credentials) = self else { return Vec::new() };
        let mut warnings = Vec::new();
        let days: Vec<Day> = credentials.iter().map(|credential| credential.scope.day()).collect();
        match (days.first(), days.last()) {
            (_, Some(last)) if *last < today => {
                warnings
                    .push(format!("the last signing key was for {last}, today is {today} (UTC)"));
            }
            (_, Some(last)) if *last == today => {
                warnings.push(format!(
                    "the last signing key is for today, {today} (UTC): requests fail from midnight on"
                ));
            }
            (Some(first), _) if *first > today => {
                warnings
                    .push(format!("the first signing key is for {first}, today is {today} (UTC)"));
            }
            _ => {}
        }
        for pair in days.windows(2).filter(|pair| pair[1] > today) {
            if pair[0].next() != Some(pair[1]) {
                warnings.push(format!(
                    "no signing key is for the days between {} and {}",
                    pair[0], pair[1]
                ));
            }
        }
        warnings
    }
}

impl Secret {
    fn on(&self, day: Day) -> Option<Rc<Credential>> {
        let mut today = self.today.borrow_mut();
        if today.as_ref().is_none_or(|credential| credential.scope.day() != day) {
            let scope = Scope::new(day, &self.region, &self.service).ok()?;
            let key = SigningKey::derive(&self.secret.0, &scope);
            *today = Some(Rc::new(Credential::new(
                &self.access_key,
                scope,
                Rc::new(key),
                self.token.clone(),
            )));
        }
        today.clone()
    }
}

/// Names the days of a ring, the first and the last of many.
struct Days<'a>(&'a [Rc<Credential>]);

impl fmt::Display for Days<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let shown = if self.0.len() > SHOWN { &self.0[..SHOWN - 1] } else { self.0 };
        for (index, credential) in shown.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}", credential.scope.day())?;
        }
        match self.0.last() {
            Some(last) if shown.len() < self.0.len() => write!(f, ", ..., {}", last.scope.day()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(days: &[&str]) -> Keys {
        let credential = |day: &&str| {
            let scope = Scope::parse(format!("{day}/r/s3/aws4_request").as_bytes()).unwrap();
            Rc::new(Credential::new(b"a", scope, Rc::new(SigningKey::new(&[1; 32])), None))
        };
        Keys::Ring(days.iter().map(credential).collect())
    }

    fn day(text: &str) -> Day {
        Day::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_ring_is_warned_of_before_it_ends() {
        for (days, today, warnings) in [
            (&["20260101", "20260102", "20260103"][..], "20260102", &[][..]),
            (&["20251231", "20260101"], "20251231", &[]),
            (
                &["20260101"],
                "20260101",
                &[
                    "the last signing key is for today, 20260101 (UTC): requests fail from midnight on",
                ],
            ),
            (
                &["20260101", "20260102"],
                "20260104",
                &["the last signing key was for 20260102, today is 20260104 (UTC)"],
            ),
            (
                &["20260103", "20260104"],
                "20260102",
                &["the first signing key is for 20260103, today is 20260102 (UTC)"],
            ),
            (
                &["20260101", "20260103", "20260104", "20260301"],
                "20260101",
                &[
                    "no signing key is for the days between 20260101 and 20260103",
                    "no signing key is for the days between 20260104 and 20260301",
                ],
            ),
            // what is over is over
            (&["20260101", "20260105", "20260106"], "20260105", &[]),
        ] {
            assert_eq!(ring(days).warnings(day(today)), warnings, "{days:?}");
        }
    }

    #[test]
    fn the_day_chooses_the_key() {
        let keys = ring(&["20260101", "20260102", "20260104"]);
        for today in ["20260101", "20260102", "20260104"] {
            assert_eq!(keys.on(day(today)).unwrap().scope().day(), day(today));
            assert_eq!(keys.complaint(day(today)), None);
        }
        assert!(keys.on(day("20260103")).is_none());
        assert_eq!(
            keys.complaint(day("20260103")).unwrap(),
            "no signing key is for today, 20260103 (UTC), there are keys for 20260101, 20260102, 20260104"
        );
        let many: Vec<String> = (1..=20).map(|n| format!("202601{n:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let complaint = ring(&many).complaint(day("20260201")).unwrap();
        assert!(complaint.ends_with("20260106, 20260107, ..., 20260120"), "{complaint}");
    }

    #[test]
    fn a_secret_has_a_key_for_every_day() {
        let keys = Keys::Secret(Secret {
            access_key: (*b"a").into(),
            secret: Rc::new(SecretKey::new(b"secret").unwrap()),
            region: "r".into(),
            service: "s3".into(),
            token: None,
            today: RefCell::default(),
        });
        for today in ["20260101", "20260101", "20260102", "20300101"] {
            assert_eq!(keys.on(day(today)).unwrap().scope().day(), day(today));
        }
        assert!(Rc::ptr_eq(&keys.on(day("20300101")).unwrap(), &keys.on(day("20300101")).unwrap()));
        assert_eq!(keys.last_day(), None);
    }
}
