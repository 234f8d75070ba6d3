//! The keys of a level: what they inherit, and what follows from them.

use std::cell::RefCell;
use std::rc::Rc;

use ngx::ffi::{NGX_LOG_EMERG, NGX_LOG_WARN};

use super::LocConf;
use crate::nginx::clock;
use crate::nginx::credential::{Credential, Keys, Secret};
use crate::nginx::ffi::{Conf, Place};
use crate::sigv4::{Scope, SigningKey};

/// An `aws_signing_key`.
pub struct RingKey {
    /// Its own scope; without one, `aws_key_scope` is.
    pub scope: Option<Scope>,
    pub key: Rc<SigningKey>,
    pub place: Place,
}

const DEFAULT_SERVICE: &str = "s3";

impl LocConf {
    /// Whether this level sets anything that keys are made of.
    pub(super) fn has_own_keys(&self) -> bool {
        self.access_key.is_some()
            || self.scope.is_some()
            || !self.keys.is_empty()
            || self.token.is_some()
            || self.secret.is_some()
            || self.region.is_some()
            || self.service.is_some()
    }

    pub(super) fn inherit_keys(&mut self, prev: &LocConf) {
        fn take<T: ?Sized>(own: &mut Option<Rc<T>>, prev: &Option<Rc<T>>) {
            if own.is_none() {
                own.clone_from(prev);
            }
        }
        take(&mut self.access_key, &prev.access_key);
        take(&mut self.scope, &prev.scope);
        take(&mut self.region, &prev.region);
        take(&mut self.service, &prev.service);
        // a ring and a secret inherit whole, and the token belongs to them
        if self.keys.is_empty() && self.secret.is_none() {
            self.keys = Rc::clone(&prev.keys);
            self.secret.clone_from(&prev.secret);
            take(&mut self.token, &prev.token);
        }
    }

    /// The directive that signing lacks.
    pub(super) fn missing(&self) -> Option<&'static str> {
        if self.access_key.is_none() {
            return Some("aws_access_key");
        }
        if self.secret.is_some() {
            return self.region.is_none().then_some("aws_region");
        }
        if self.keys.is_empty() {
            return Some("aws_signing_key");
        }
        let scoped = self.keys.iter().all(|key| key.scope.is_some());
        (self.scope.is_none() && !scoped).then_some("aws_key_scope")
    }

    /// What follows from the directives of this level; `None` after an error was logged.
    pub(super) fn resolve(&self, cf: Conf) -> Option<Option<Rc<Keys>>> {
        if let Some(keys) = self.resolved.get() {
            return Some(keys.clone());
        }
        let keys = match self.build() {
            Ok(keys) => keys.map(Rc::new),
            Err(error) => {
                ngx::ngx_log_error!(NGX_LOG_EMERG, cf.log(), "{error}");
                return None;
            }
        };
        if let (Some(keys), Some(today), Some(key)) = (&keys, clock::today(), self.keys.first()) {
            for warning in keys.warnings(today) {
                ngx::ngx_log_error!(NGX_LOG_WARN, cf.log(), "{warning}, in {}", key.place);
            }
        }
        self.resolved.set(keys.clone()).ok()?;
        Some(keys)
    }

    fn build(&self) -> Result<Option<Keys>, String> {
        let ring = self.ring()?;
        let Some(access_key) = self.access_key.as_ref().filter(|_| self.missing().is_none()) else {
            return Ok(None);
        };
        if let (Some(secret), Some(region)) = (&self.secret, &self.region) {
            return Ok(Some(Keys::Secret(Secret {
                access_key: access_key.clone(),
                secret: secret.clone(),
                region: region.clone(),
                service: self.service.clone().unwrap_or_else(|| DEFAULT_SERVICE.into()),
                token: self.token.clone(),
                today: RefCell::default(),
            })));
        }
        let credential = |(scope, key): (&Scope, &RingKey)| {
            let key = key.key.clone();
            Rc::new(Credential::new(access_key, scope.clone(), key, self.token.clone()))
        };
        let mut credentials: Vec<_> = ring.into_iter().map(credential).collect();
        match (&self.keys[..], credentials.pop()) {
            // the C module's form: one key, right or wrong
            ([RingKey { scope: None, .. }], Some(single)) => Ok(Some(Keys::Single(single))),
            (_, last) => Ok(Some(Keys::Ring(credentials.into_iter().chain(last).collect()))),
        }
    }

    /// The keys of this level with their scopes, by date.
    fn ring(&self) -> Result<Vec<(&Scope, &RingKey)>, String> {
        let scope = |key| Option::or(RingKey::scope(key), self.scope.as_deref());
        let mut ring: Vec<_> =
            self.keys.iter().filter_map(|key| Some((scope(key)?, key))).collect();
        ring.sort_by_key(|(scope, _)| scope.day());
        for pair in ring.windows(2) {
            let ((scope, key), (other, other_key)) = (&pair[0], &pair[1]);
            if scope.day() == other.day() {
                return Err(format!(
                    "\"aws_signing_key\" directive for {} is duplicate in {}, see {}",
                    other.day(),
                    other_key.place,
                    key.place
                ));
            }
            if (scope.region(), scope.service()) != (other.region(), other.service()) {
                return Err(format!(
                    "\"aws_signing_key\" directive has the scope \"{other}\" in {}, expected the \
                     region and service of \"{scope}\" in {}",
                    other_key.place, key.place
                ));
            }
        }
        Ok(ring)
    }
}

impl RingKey {
    fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }
}
