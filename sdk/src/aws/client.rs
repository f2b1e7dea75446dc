//! Calls of a service of AWS, tried again where that helps.
//!
//! A call is tried again, after a pause that doubles and is jittered, where AWS throttles
//! or has a passing fault, and where no answer came. A call that must not be made twice
//! ([`Form::once`]) is not tried again where its answer may have been lost. `Retry-After`
//! is kept to. No pause is begun that the provider's own call has no time for: then the
//! failure says what it was, and the host comes back by its own pace.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde_json::Value;

use super::credentials::Credentials;
use super::error::{AwsError, Kind, Refused};
use super::form::Form;
use super::region::Partition;
use super::sigv4::{self, Payload, Scope};
use super::xml::Element;
use crate::context::Context;
use crate::failure::{Failure, FailureClass, Result};
use crate::http;

/// A service, and where it is.
#[derive(Clone, Debug)]
pub struct Service {
    /// As in endpoints, in signatures and in privileges: `iam`.
    name: &'static str,
    is_global: bool,
    endpoint: Option<String>,
}

impl Service {
    /// A service that each region has: `secretsmanager`, `ssm`.
    pub fn regional(name: &'static str) -> Self {
        Self {
            name,
            is_global: false,
            endpoint: None,
        }
    }

    /// Identity and Access Management, which a partition has one of.
    pub fn iam() -> Self {
        Self {
            is_global: true,
            ..Self::regional("iam")
        }
    }

    /// Security Token Service, of a region.
    pub fn sts() -> Self {
        Self::regional("sts")
    }

    /// The same service at another URL, where one is given: of a private link, of FIPS, of
    /// a stand-in for tests.
    #[must_use]
    pub fn at(mut self, endpoint: Option<&str>) -> Self {
        let endpoint = endpoint.map(str::trim).filter(|url| !url.is_empty());
        self.endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned());
        self
    }

    /// The URL of the service for a region.
    pub fn endpoint(&self, region: &str) -> String {
        match &self.endpoint {
            Some(url) => url.clone(),
            None if self.is_global => Partition::of(region).iam(),
            None => {
                let domain = Partition::of(region).domain();
                format!("https://{}.{region}.{domain}", self.name)
            }
        }
    }

    fn signing_region<'a>(&self, region: &'a str) -> &'a str {
        match self.is_global {
            true => Partition::of(region).home(),
            false => region,
        }
    }
}

/// A service, as one key sees it.
#[derive(Clone)]
pub struct Client<'a> {
    ctx: &'a Context,
    service: Service,
    region: String,
    key: Option<Credentials>,
    /// The number of retries that are left: the host bounds how many requests one
    /// call of a provider makes.
    left: Cell<u32>,
}

/// A request before it is signed.
struct Prepared<'a> {
    action: String,
    headers: Vec<(String, String)>,
    body: &'a [u8],
    is_once: bool,
    /// A code that passes with such a message, because what was just made is not known
    /// everywhere yet.
    passing: Option<(&'static str, String)>,
}

impl<'a> Client<'a> {
    /// Without a key, requests are not signed: there are few that need none.
    pub fn new(ctx: &'a Context, service: Service, region: &str, key: Option<Credentials>) -> Self {
        Self {
            ctx,
            service,
            region: region.to_owned(),
            key,
            left: Cell::new(MOST_RETRIES),
        }
    }

    /// The same service, as another key sees it.
    #[must_use]
    pub fn with_key(&self, key: Credentials) -> Self {
        Self {
            key: Some(key),
            ..self.clone()
        }
    }

    /// A call of the query protocol; the root element of its answer.
    ///
    /// # Errors
    /// The refusal of AWS, or the reason why there is no answer that can be read.
    pub fn query(&self, form: Form) -> Result<Element, AwsError> {
        let body = form.body();
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        let answer = self.call(&Prepared {
            action: format!("{}:{}", self.service.name, form.name()),
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.as_bytes(),
            is_once: form.is_once,
            passing: form.passing,
        })?;
        Element::parse(&answer.text()).map_err(|error| Failure::from(error).into())
    }

    /// A call of JSON 1.1, `target` being `secretsmanager.GetSecretValue`; its answer.
    ///
    /// # Errors
    /// The refusal of AWS, or the reason why there is no answer that can be read.
    pub fn json(&self, target: &str, body: &Value) -> Result<Value, AwsError> {
        let action = target.rsplit('.').next().unwrap_or_default();
        let body = body.to_string();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let answer = self.call(&Prepared {
            action: format!("{}:{action}", self.service.name),
            headers: vec![
                header("content-type", "application/x-amz-json-1.1"),
                header("x-amz-target", target),
            ],
            body: body.as_bytes(),
            is_once: false,
            passing: None,
        })?;
        Ok(answer.json()?)
    }

    fn call(&self, request: &Prepared<'_>) -> Result<http::Response, AwsError> {
        let mut attempt = 0;
        loop {
            let error = match self.send(request) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempt += 1;
            match self.pause(request, &error, attempt) {
                Some(pause) => self.ctx.wait(pause),
                None => return Err(error),
            }
        }
    }

    fn send(&self, request: &Prepared<'_>) -> Result<http::Response, AwsError> {
        let endpoint = self.service.endpoint(&self.region);
        let url = http::split(&endpoint)?;
        let mut headers = request.headers.clone();
        if let Some(key) = &self.key {
            let unsigned = sigv4::Request {
                method: "POST",
                host: url.authority,
                path: url.path_and_query,
                query: &[],
                headers: &request.headers,
                payload: Payload::Signed(request.body),
                path_as_it_is: false,
            };
            let scope = Scope {
                service: self.service.name,
                region: self.service.signing_region(&self.region),
                time: self.ctx.now(),
            };
            headers.extend(sigv4::headers(&unsigned, scope, key));
        }
        let sent = headers.into_iter().fold(
            http::post(endpoint.as_str()).body(request.body),
            |sent, (name, value)| sent.header(&name, value),
        );
        let answer = sent.send().map_err(|failure| self.explained(failure))?;
        match Refused::of(&request.action, &answer) {
            Some(refused) => Err(AwsError::Refused(Box::new(refused))),
            None => Ok(answer),
        }
    }

    /// Whether to try again, and after which pause.
    fn pause(&self, request: &Prepared<'_>, error: &AwsError, attempt: u32) -> Option<Duration> {
        let (first, asked) = match error {
            AwsError::Refused(refused) => {
                let is_passing = request.passing.as_ref().is_some_and(|(code, about)| {
                    refused.code == *code && refused.message.contains(about)
                });
                let first = match refused.kind() {
                    _ if is_passing => FIRST_PAUSE,
                    Kind::Throttled => FIRST_PAUSE * 3,
                    Kind::Passing if !request.is_once => FIRST_PAUSE,
                    _ => return None,
                };
                (first, refused.retry_after)
            }
            AwsError::Failed(failure) => {
                let passes = failure.class() == FailureClass::Unavailable;
                if !passes || request.is_once {
                    return None;
                }
                (FIRST_PAUSE, failure.retry_after())
            }
        };
        let left = self.left.get().checked_sub(1)?;
        let doubled = first * 2_u32.saturating_pow(attempt - 1);
        let pause = asked.unwrap_or(jittered(doubled.min(LONGEST_PAUSE), attempt));
        // The last try needs time, too, and so does whatever the provider does then.
        let room = self.ctx.time_left().checked_sub(pause)?;
        if attempt >= MOST_ATTEMPTS || room < self.ctx.timeout / 4 {
            return None;
        }
        self.left.set(left);
        Some(pause)
    }

    /// A host that nobody knows usually has a region in its name that has no such service.
    fn explained(&self, failure: Failure) -> AwsError {
        if failure.code() != UNRESOLVED || self.service.endpoint.is_some() {
            return failure.into();
        }
        let (name, region) = (self.service.name, &self.region);
        let sentence = format!(
            "{}; look whether {region:?} is a region of AWS that has the service {name}.",
            failure.message().trim_end_matches('.')
        );
        Failure::invalid_config("aws_region_without_service", sentence).into()
    }
}

/// Between half of a pause and the whole of it, so that those who were slowed down
/// together do not come back together.
fn jittered(pause: Duration, attempt: u32) -> Duration {
    let half = pause / 2;
    let random = RandomState::new().hash_one(attempt) % 1024;
    half + half * u32::try_from(random).unwrap_or_default() / 1024
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Of one call of AWS: some three seconds of pauses.
const MOST_ATTEMPTS: u32 = 6;
/// Of all calls of one client: a provider makes a dozen calls, and the host lets it make
/// 32 requests.
const MOST_RETRIES: u32 = 10;
/// The code of a failure whose host has no address.
const UNRESOLVED: &str = "name_unresolved";

#[cfg(test)]
mod tests;
