//! The operation that the method and the query of a request ask for. Pure.

use http::Method;

/// An operation that methods ask for. PUT and POST are one write; `LIST` and `GET ?list=true`
/// are one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Shows something.
    Read,
    /// Lists names.
    List,
    /// Makes or changes something.
    Write,
    /// Removes something.
    Delete,
}

/// Every operation.
pub(super) const ALL: &[Operation] = &[
    Operation::Read,
    Operation::List,
    Operation::Write,
    Operation::Delete,
];

impl Operation {
    /// The operation of a method and query; none for a method that no path takes.
    pub fn of(method: &Method, query: &str) -> Option<Self> {
        match method.as_str() {
            "GET" | "HEAD" if asks_for_list(query) => Some(Self::List),
            "GET" | "HEAD" => Some(Self::Read),
            "LIST" => Some(Self::List),
            "PUT" | "POST" => Some(Self::Write),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// Vault's name of it, as audit lines have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "update",
            Self::Delete => "delete",
        }
    }

    /// The method that asks for it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Read => "GET",
            Self::List => "LIST",
            Self::Write => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// `list=true` in any case: hvac sends `list=True`.
fn asks_for_list(query: &str) -> bool {
    query.split('&').any(|pair| {
        pair.split_once('=').is_some_and(|(name, value)| {
            name == "list" && (value.eq_ignore_ascii_case("true") || value == "1")
        })
    })
}

/// `help=1` or `help=true`: what a path does, instead of doing it.
pub(super) fn asks_for_help(query: &str) -> bool {
    query.split('&').any(|pair| {
        pair.split_once('=').is_some_and(|(name, value)| {
            name == "help" && (value.eq_ignore_ascii_case("true") || value == "1")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_mean_what_vaults_clients_mean() {
        let list = Method::from_bytes(b"LIST").unwrap();
        for (method, query, expected) in [
            (Method::GET, "", Some(Operation::Read)),
            (Method::HEAD, "", Some(Operation::Read)),
            (Method::GET, "list=true", Some(Operation::List)),
            (Method::GET, "a=b&list=True", Some(Operation::List)),
            (Method::GET, "list=false", Some(Operation::Read)),
            (Method::GET, "listing=true", Some(Operation::Read)),
            (list, "", Some(Operation::List)),
            (Method::PUT, "", Some(Operation::Write)),
            (Method::POST, "list=true", Some(Operation::Write)),
            (Method::DELETE, "", Some(Operation::Delete)),
            (Method::PATCH, "", None),
            (Method::OPTIONS, "", None),
        ] {
            assert_eq!(Operation::of(&method, query), expected, "{method} {query}");
        }
    }
}
