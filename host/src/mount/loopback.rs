//! What `--dev` grants by itself: what a config names on loopback. What a provider
//! names by itself, be it an endpoint, a host, a port or a default of its schema that
//! stands for a host, is not granted.

use std::net::IpAddr;

use serde_json::Value;

/// The provider's endpoints that lie on loopback, by the word of a config that fits
/// `schema`.
pub(super) fn loopback_endpoints(
    templates: &[String],
    schema: &Value,
    config: &str,
) -> Vec<String> {
    let Ok(config) = serde_json::from_str::<Value>(config) else {
        return Vec::new();
    };
    // A config is stored with the defaults filled in.
    let is_default = |name: &str| {
        let default = schema
            .get("properties")
            .and_then(|all| all.get(name)?.get("default"));
        default.is_some() && default == config.get(name)
    };
    let named: Vec<String> = templates
        .iter()
        .filter(|template| host_field(template).is_some_and(|field| !is_default(field)))
        .cloned()
        .collect();
    endpoints(&named, &config)
        .into_iter()
        .filter(|endpoint| !endpoint.contains('{') && is_on_loopback(endpoint))
        .map(|endpoint| without_path(&endpoint))
        .collect()
}

/// The field of the config that names the host of an endpoint. None where anything of
/// its server is the provider's own word.
fn host_field(template: &str) -> Option<&str> {
    fn field(text: &str) -> Option<&str> {
        let name = text.strip_prefix('{')?.strip_suffix('}')?;
        (!name.contains(['{', '}'])).then_some(name)
    }
    let Some((_, rest)) = template.split_once("://") else {
        return field(template);
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) => field(port).and(field(host)),
        None => field(authority),
    }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_config_names_on_loopback_is_granted_in_dev_and_nothing_else() {
        let schema = json!({"properties": {
            "host": {}, "port": {"default": 22}, "inner": {"default": "127.0.0.1"},
        }});
        let address = r#"{"host":"127.0.0.1","port":5432}"#;
        for (endpoint, config, granted) in [
            ("tcp://{host}:{port}", address, Some("tcp://127.0.0.1:5432")),
            (
                "tcp://{host}:{port}",
                r#"{"host":"LOCALHOST","port":5432}"#,
                Some("tcp://LOCALHOST:5432"),
            ),
            ("https://{host}/v1", address, Some("https://127.0.0.1")),
            (
                "{url}",
                r#"{"url":"http://[::1]:9000/accounts?x#y"}"#,
                Some("http://[::1]:9000"),
            ),
            ("{url}", r#"{"url":"http://10.0.0.1/127.0.0.1"}"#, None),
            ("{url}", r#"{"url":"127.0.0.1"}"#, None),
            (
                "tcp://{host}:{port}",
                r#"{"host":"10.0.0.1","port":5432}"#,
                None,
            ),
            (
                "tcp://{host}:{port}",
                r#"{"host":"127.0.0.1.example.com","port":1}"#,
                None,
            ),
            (
                "tcp://{host}:{port}",
                r#"{"host":"127.0.0.1@evil","port":1}"#,
                None,
            ),
            // The provider's own words.
            ("tcp://127.0.0.1:22", address, None),
            ("tcp://localhost:{port}", address, None),
            ("tcp://{host}:22", address, None),
            ("http://127.0.0.1", address, None),
            ("http://127.0.0.1/{host}", address, None),
            (
                "tcp://{inner}:{port}",
                r#"{"inner":"127.0.0.1","port":22}"#,
                None,
            ),
            // Nobody's.
            ("tcp://{host}:{port}", r#"{"host":"127.0.0.1"}"#, None),
        ] {
            let found = loopback_endpoints(&[endpoint.to_owned()], &schema, config);
            let granted: Vec<_> = granted.into_iter().collect();
            assert_eq!(found, granted, "{endpoint} {config}");
        }
    }
}
