//! Grants that allow more than a provider asks for. A provider's descriptor says what it wants
//! to reach, as templates over a mount's config. Pure.

use super::{Grant, GrantedHost, Scheme, parse_grant, parse_granted_host, parse_port};

/// The entries of `allowed_hosts` that allow more than the endpoints of a provider
/// name, a sentence each.
pub fn beyond(entries: &[String], endpoints: &[String]) -> Vec<String> {
    let asked: Vec<Asked> = endpoints
        .iter()
        .filter_map(|text| Asked::read(text))
        .collect();
    let wants = match endpoints {
        [] => String::from("nothing"),
        endpoints => endpoints.join(", "),
    };
    let needless = entries.iter().filter(|entry| {
        parse_grant(entry).is_ok_and(|grant| !asked.iter().any(|asked| asked.covers(&grant)))
    });
    needless
        .map(|entry| {
            format!(
                "allowed_hosts: {entry:?} allows more than the provider asks for, which is {wants}"
            )
        })
        .collect()
}

/// One endpoint of a descriptor. An absent part comes from the config.
struct Asked {
    scheme: Option<Scheme>,
    host: Option<GrantedHost>,
    port: Option<u16>,
}

impl Asked {
    fn read(endpoint: &str) -> Option<Self> {
        let Some((scheme, rest)) = endpoint.split_once("://") else {
            // One field, which holds a whole URL.
            return Some(Self {
                scheme: None,
                host: None,
                port: None,
            });
        };
        let scheme = Scheme::parse(scheme)?;
        let authority = rest.split('/').next().unwrap_or(rest);
        // An IPv6 address has colons of its own.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_template = |text: &str| text.contains('{');
        Some(Self {
            scheme: Some(scheme),
            host: match host {
                host if is_template(host) => None,
                host => Some(parse_granted_host(host).ok()?),
            },
            port: match port {
                Some(port) if is_template(port) => None,
                Some(port) => Some(parse_port(port).ok()?),
                None => scheme.default_port(),
            },
        })
    }

    /// Whether a grant covers only this endpoint, for every config.
    fn covers(&self, grant: &Grant) -> bool {
        let scheme = self.scheme.is_none_or(|scheme| scheme == grant.scheme);
        let port = self.port.is_none_or(|port| port == grant.port);
        scheme && port && self.covers_host(&grant.host)
    }

    fn covers_host(&self, granted: &GrantedHost) -> bool {
        match (granted, &self.host) {
            (GrantedHost::Range(range), _) => range.prefix_len() == range.max_prefix_len(),
            (GrantedHost::Below(granted), Some(GrantedHost::Below(asked))) => {
                granted == asked || granted.ends_with(&format!(".{asked}"))
            }
            (GrantedHost::Below(_), _) => false,
            // The provider asks for one host, and the grant is for one.
            (GrantedHost::Name(_) | GrantedHost::Address(_), None) => true,
            (GrantedHost::Name(granted), Some(asked)) => asked.covers(granted),
            // Where a name leads to an inner address, the mount must be granted that address as
            // well.
            (GrantedHost::Address(_), Some(GrantedHost::Name(_) | GrantedHost::Below(_))) => true,
            (GrantedHost::Address(_), Some(asked)) => asked == granted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_measured_by_what_the_provider_asks_for() {
        let database = ["tcp://{host}:{port}"].as_slice();
        let cloud = ["https://iam.example.com", "https://*.sts.example.com"].as_slice();
        for (endpoints, entry, fits) in [
            (database, "tcp://db.example.com:5432", true),
            (database, "tcp://10.0.0.5:5432", true),
            (database, "tcp://10.0.0.5/32:5432", true),
            (database, "tcp://0.0.0.0/0:16390", false),
            (database, "tcp://10.0.0.0/8:5432", false),
            (database, "tcp://*.example.com:5432", false),
            (database, "https://db.example.com", false),
            (["tcp://{host}:22"].as_slice(), "tcp://db:22", true),
            (["tcp://{host}:22"].as_slice(), "tcp://db:23", false),
            (["{url}"].as_slice(), "http://10.0.0.5:8080", true),
            (["{url}"].as_slice(), "http://*.example.com", false),
            (cloud, "https://iam.example.com", true),
            (cloud, "https://10.0.0.5", true),
            (cloud, "https://eu.sts.example.com", true),
            (cloud, "https://*.eu.sts.example.com", true),
            (cloud, "https://*.example.com", false),
            (cloud, "https://other.example.com", false),
            (cloud, "https://iam.example.com:8443", false),
            (["tcp://[::1]:5432"].as_slice(), "tcp://[::1]:5432", true),
            (["tcp://[::1]:5432"].as_slice(), "tcp://[::2]:5432", false),
            (&[], "https://iam.example.com", false),
        ] {
            let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
            let said = beyond(&[entry.to_owned()], &endpoints);
            assert_eq!(said.is_empty(), fits, "{endpoints:?} {entry}: {said:?}");
            assert!(said.iter().all(|sentence| sentence.contains(entry)));
        }
    }
}
