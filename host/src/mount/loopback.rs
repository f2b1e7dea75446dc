//! What `--dev` grants by itself: the endpoints of a config that lie on loopback.

use std::net::IpAddr;

use serde_json::Value;

/// The provider's endpoints, filled in from a config, that lie on loopback.
pub(super) fn loopback_endpoints(templates: &[String], config: &str) -> Vec<String> {
    let Ok(config) = serde_json::from_str::<Value>(config) else {
        return Vec::new();
    };
    endpoints(templates, &config)
        .into_iter()
        .filter(|endpoint| is_on_loopback(endpoint))
        .map(|endpoint| without_path(&endpoint))
        .collect()
}

/// The provider's endpoints, filled in from a config. A field that the config
/// leaves to its default stays a placeholder.
pub(crate) fn endpoints(templates: &[String], config: &Value) -> Vec<String> {
    let fill = |template: &String| {
        let mut filled = template.clone();
        for (name, value) in config.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            filled = filled.replace(&format!("{{{name}}}"), &text);
        }
        filled
    };
    templates.iter().map(fill).collect()
}

/// A grant is for a whole server: `scheme://host[:port]`.
fn without_path(endpoint: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
            format!("{scheme}://{authority}")
        }
        None => endpoint.to_owned(),
    }
}

fn is_on_loopback(endpoint: &str) -> bool {
    let Some((_, rest)) = endpoint.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_endpoints_are_granted_in_dev() {
        let endpoints = [
            "tcp://{host}:{port}".to_owned(),
            "https://api.example.com".to_owned(),
            "{url}".to_owned(),
        ];
        for (config, granted) in [
            (
                r#"{"host":"127.0.0.1","port":5432}"#,
                vec!["tcp://127.0.0.1:5432"],
            ),
            (
                r#"{"host":"LOCALHOST","port":5432}"#,
                vec!["tcp://LOCALHOST:5432"],
            ),
            (
                r#"{"url":"http://[::1]:9000/accounts?x#y"}"#,
                vec!["http://[::1]:9000"],
            ),
            (r#"{"url":"http://10.0.0.1/127.0.0.1"}"#, vec![]),
            (r#"{"url":"127.0.0.1"}"#, vec![]),
            (r#"{"host":"10.0.0.1","port":5432}"#, vec![]),
            (r#"{"host":"127.0.0.1.example.com","port":1}"#, vec![]),
            (r#"{"host":"127.0.0.1@evil","port":1}"#, vec![]),
        ] {
            assert_eq!(loopback_endpoints(&endpoints, config), granted, "{config}");
        }
    }
}
