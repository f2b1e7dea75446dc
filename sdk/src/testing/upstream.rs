//! A scripted HTTP upstream: routes that answer, and a record of what was asked.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use crate::host::{HttpAnswer, HttpCall};

/// A request that the provider sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// In upper case.
    pub method: String,
    /// The whole URL, query included.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
    /// What the provider limits waiting to, where it does.
    pub timeout: Option<Duration>,
}

impl Received {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What answers requests of one method to one URL. Without a query in its URL
/// it answers whatever the query. Several answers are given one after the
/// other; the last one stays.
pub struct Route {
    method: String,
    url: String,
    answers: Answers,
}

enum Answers {
    Listed(VecDeque<Answer>),
    Computed(Compute),
}

type Compute = Box<dyn FnMut(&Received) -> (u16, Value)>;

#[derive(Clone)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Route {
    /// A route of any method, without answers so far.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            answers: Answers::Listed(VecDeque::new()),
        }
    }

    /// A route for GET.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A route for POST.
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// A route for PUT.
    pub fn put(url: &str) -> Self {
        Self::new("PUT", url)
    }

    /// A route for DELETE.
    pub fn delete(url: &str) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds an answer with a JSON body.
    #[must_use]
    pub fn answer(self, status: u16, body: Value) -> Self {
        self.answer_bytes(
            status,
            &[("content-type", "application/json")],
            body.to_string(),
        )
    }

    /// Adds an answer with any headers and body.
    #[must_use]
    pub fn answer_bytes(
        mut self,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let answer = Answer {
            status,
            headers,
            body: body.into(),
        };
        match &mut self.answers {
            Answers::Listed(answers) => answers.push_back(answer),
            computed @ Answers::Computed(_) => {
                *computed = Answers::Listed(VecDeque::from([answer]))
            }
        }
        self
    }

    /// Answers by a function, for an upstream that remembers.
    #[must_use]
    pub fn answer_with(mut self, answer: impl FnMut(&Received) -> (u16, Value) + 'static) -> Self {
        self.answers = Answers::Computed(Box::new(answer));
        self
    }

    pub(super) fn matches(&self, received: &Received) -> bool {
        let url = if self.url.contains('?') {
            received.url.as_str()
        } else {
            path_of(&received.url)
        };
        self.method == received.method && self.url == url
    }

    pub(super) fn respond(&mut self, received: &Received) -> Option<HttpAnswer> {
        let Answer {
            status,
            headers,
            body,
        } = match &mut self.answers {
            Answers::Listed(answers) if answers.len() > 1 => answers.pop_front()?,
            Answers::Listed(answers) => answers.front()?.clone(),
            Answers::Computed(answer) => {
                let (status, body) = answer(received);
                let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
                Answer {
                    status,
                    headers,
                    body: body.to_string().into_bytes(),
                }
            }
        };
        Some(HttpAnswer {
            status,
            headers,
            body,
        })
    }
}

impl From<&HttpCall<'_>> for Received {
    fn from(call: &HttpCall<'_>) -> Self {
        let scheme = if call.url.https { "https" } else { "http" };
        // A route is written without the slash that an empty path stands for.
        let path = if call.url.path_and_query == "/" {
            ""
        } else {
            call.url.path_and_query
        };
        Self {
            method: call.method.to_owned(),
            url: format!("{scheme}://{}{path}", call.url.authority),
            headers: call.headers.to_vec(),
            body: call.body.to_vec(),
            timeout: call.timeout_ms.map(Duration::from_millis),
        }
    }
}

fn path_of(url: &str) -> &str {
    url.split_once('?').map_or(url, |(path, _)| path)
}
