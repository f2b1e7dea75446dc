//! The body of a call of AWS's query protocol: `Action`, `Version` and parameters, of
//! which those of lists are numbered from 1.

use crate::http::encode;

/// Parameters of a call.
#[derive(Clone, Debug)]
pub struct Form {
    action: &'static str,
    pairs: Vec<(String, String)>,
    pub(super) is_once: bool,
    pub(super) passing: Option<(&'static str, String)>,
}

impl Form {
    /// A call of `action` as of the `version` of its service's API: `2010-05-08` of IAM,
    /// `2011-06-15` of STS.
    pub fn action(action: &'static str, version: &str) -> Self {
        Self {
            action,
            pairs: Vec::new(),
            is_once: false,
            passing: None,
        }
        .with("Action", action)
        .with("Version", version)
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.pairs.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a parameter, where there is a value that is not empty.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a list: `Name.member.1`, `Name.member.2`, …
    #[must_use]
    pub fn with_list<V: Into<String>>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        for (index, value) in values.into_iter().enumerate() {
            let name = format!("{name}.member.{}", index + 1);
            self.pairs.push((name, value.into()));
        }
        self
    }

    /// Adds a list of pairs, as tags are: `Tags.member.1.Key`, `Tags.member.1.Value`, …
    #[must_use]
    pub fn with_tags<'a>(
        mut self,
        name: &str,
        tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        for (index, (key, value)) in tags.into_iter().enumerate() {
            let place = format!("{name}.member.{}", index + 1);
            self.pairs.push((format!("{place}.Key"), key.to_owned()));
            self.pairs
                .push((format!("{place}.Value"), value.to_owned()));
        }
        self
    }

    /// Has the call not tried again where its answer may have been lost: it makes
    /// something that has no name of ours.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.is_once = true;
        self
    }

    /// Has the call tried again where AWS refuses with this code and a message that holds
    /// `about`, too: what was made a moment ago is not known everywhere yet
    /// (`NoSuchEntity`, of the user and of nothing else).
    #[must_use]
    pub fn while_refused(mut self, code: &'static str, about: &str) -> Self {
        self.passing = Some((code, about.to_owned()));
        self
    }

    /// The action, for messages.
    pub fn name(&self) -> &'static str {
        self.action
    }

    /// The body, as `application/x-www-form-urlencoded`.
    pub(super) fn body(&self) -> String {
        let pairs = self.pairs.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        pairs.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbered_from_one_and_everything_is_encoded() {
        let form = Form::action("CreateUser", "2010-05-08")
            .with("Path", "/a b/")
            .with_some("PermissionsBoundary", None)
            .with_some("Empty", Some(""))
            .with_list("PolicyArns", ["x", "y"])
            .with_tags("Tags", [("k", "v&w"), ("l", "")]);
        assert_eq!(
            form.body(),
            "Action=CreateUser&Version=2010-05-08&Path=%2Fa%20b%2F\
             &PolicyArns.member.1=x&PolicyArns.member.2=y\
             &Tags.member.1.Key=k&Tags.member.1.Value=v%26w\
             &Tags.member.2.Key=l&Tags.member.2.Value="
        );
    }
}
