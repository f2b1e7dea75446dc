//! The one table of the API: what the modules of the handlers declare, put together.

use std::sync::LazyLock;

use lessor_model::{login::Kind, mount};

use super::{
    capabilities,
    endpoint::{Endpoint, Shelf, routes::Routes},
    hold, identity, leases, logins, metrics, mounted, mounts, openapi, operations, plugins,
    policies, storage, system, tasks, tokens, wrapping,
};

/// The endpoints of the host itself, below `/v1/`.
const HOST: &[&[Endpoint]] = &[
    system::ENDPOINTS,
    operations::ENDPOINTS,
    openapi::ENDPOINTS,
    metrics::ENDPOINTS,
    plugins::ENDPOINTS,
    mounts::ENDPOINTS,
    logins::ENDPOINTS,
    leases::ENDPOINTS,
    tasks::ENDPOINTS,
    storage::ENDPOINTS,
    hold::ENDPOINTS,
    policies::ENDPOINTS,
    capabilities::ENDPOINTS,
    wrapping::ENDPOINTS,
    tokens::ENDPOINTS,
    identity::ENDPOINTS,
];

/// The endpoints below a mount, by the kind of mount.
fn below(kind: mount::Kind) -> &'static [&'static [Endpoint]] {
    match kind {
        mount::Kind::Provider => &[mounted::ENDPOINTS],
        mount::Kind::Login(Kind::AppRole) => &[logins::approle::ENDPOINTS],
        mount::Kind::Login(Kind::Userpass) => &[logins::userpass::ENDPOINTS],
        mount::Kind::Login(Kind::Jwt) => &[logins::jwt::ENDPOINTS],
    }
}

/// All endpoints.
pub(super) static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let mounts = mount::Kind::all().map(|kind| (Shelf::Mount(kind), below(kind)));
    Routes::new(std::iter::once((Shelf::Host, HOST)).chain(mounts))
});

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use lessor_model::dialect;

    use super::*;
    use crate::api::{
        dialect::operation_of,
        endpoint::{Handler, pattern::Pattern},
        operation::ALL,
    };

    /// An example of a pattern.
    fn example(pattern: &str) -> Vec<String> {
        let part = |part: &str| match part.trim_start_matches(['~', ':', '*']) {
            bare if bare == part => part.to_owned(),
            bare => format!("x-{bare}"),
        };
        pattern.split('/').map(part).collect()
    }

    #[test]
    fn every_pattern_leads_to_its_endpoint() {
        for shelf in ROUTES.shelves() {
            let mut seen = HashSet::new();
            for endpoint in ROUTES.endpoints(shelf) {
                let names = Pattern::of(endpoint.pattern).names();
                for pattern in endpoint.also.iter().chain([&endpoint.pattern]) {
                    assert!(seen.insert(*pattern), "{pattern} twice");
                    let (found, _) = ROUTES.find(shelf, &example(pattern)).expect(pattern);
                    assert!(std::ptr::eq(found, endpoint), "{pattern}: {found:?}");
                    assert_eq!(Pattern::of(pattern).names(), names, "{pattern}");
                }
            }
        }
    }

    #[test]
    fn every_endpoint_says_what_it_does() {
        for shelf in ROUTES.shelves() {
            for endpoint in ROUTES.endpoints(shelf) {
                let pattern = endpoint.pattern;
                assert!(endpoint.about.ends_with('.'), "{pattern}");
                assert!(!endpoint.verbs.is_empty(), "{pattern}");
                let mut operations = Vec::new();
                for verb in endpoint.verbs {
                    assert!(verb.about.ends_with('.'), "{pattern}: {}", verb.about);
                    // An endpoint that only refuses has no answers.
                    let says_no = pattern == "oidc/*path";
                    assert_eq!(verb.gives.is_empty(), says_no, "{pattern}: {}", verb.about);
                    for operation in verb.operations {
                        assert!(!operations.contains(operation), "{pattern}");
                        operations.push(*operation);
                    }
                    let mut names = HashSet::new();
                    for field in verb.fields() {
                        assert!(names.insert(field.name), "{pattern}: {}", field.name);
                        assert!(field.about.ends_with('.'), "{pattern}: {}", field.name);
                    }
                    let is_login = matches!(verb.handler, Handler::Login);
                    let of_login = matches!(shelf, Shelf::Mount(mount::Kind::Login(_)));
                    assert!(!is_login || of_login, "{pattern}");
                }
                for operation in endpoint.sudo {
                    let known = operations.contains(operation);
                    assert!(known || endpoint.sudo == ALL, "{pattern}");
                }
            }
        }
    }

    /// The paths that are open to anybody. The list is short; think before you add a line.
    #[test]
    fn what_needs_no_token_or_leaves_no_line_is_known() {
        let named = |is: fn(&Endpoint) -> bool| {
            let named = ROUTES
                .endpoints(Shelf::Host)
                .filter(|endpoint| is(endpoint));
            named.map(|endpoint| endpoint.pattern).collect::<Vec<_>>()
        };
        let open = [
            "sys/health",
            "sys/seal-status",
            "sys/init",
            "sys/leader",
            "identity/oidc/.well-known/openid-configuration",
            "identity/oidc/.well-known/jwks.json",
        ];
        assert_eq!(named(Endpoint::is_open), open);
        let quiet = ["sys/health", "sys/seal-status", "sys/leader"];
        assert_eq!(named(|endpoint| !endpoint.audited), quiet);
        for pattern in quiet {
            assert!(!ROUTES.is_audited(&format!("/v1/{pattern}")), "{pattern}");
        }
        assert!(ROUTES.is_audited("/v1/sys/init") && ROUTES.is_audited("/sys/health"));
        assert_eq!(
            named(|endpoint| endpoint.to_strangers.is_some()),
            ["sys/internal/ui/mounts"]
        );
    }

    /// The dialects of providers are checked against these lists.
    #[test]
    fn what_a_dialect_may_stand_for_is_what_the_host_serves() {
        let provider = Shelf::Mount(mount::Kind::Provider);
        let served = ROUTES.endpoints(provider);
        let served = served.flat_map(|it| it.also.iter().chain([&it.pattern]).copied());
        let served: HashSet<&str> = served.collect();
        assert_eq!(served, HashSet::from(dialect::OWN_PATHS));
        for does in dialect::Does::ALL {
            for has_name in [true, false] {
                let own = does.own_path(has_name);
                let shelf = match does.is_of_the_mount() {
                    true => Shelf::Host,
                    false => provider,
                };
                let endpoint = ROUTES.endpoints(shelf).find(|it| it.pattern == own);
                let endpoint = endpoint.unwrap_or_else(|| panic!("{does:?}: {own}"));
                for method in does.methods() {
                    let verb = endpoint.verb(operation_of(*method)).unwrap();
                    let known = does.host_fields();
                    let unknown = verb.fields().find(|field| !known.contains(&field.name));
                    assert!(
                        unknown.is_none() || does.only().is_some(),
                        "{does:?}: {unknown:?}"
                    );
                }
            }
        }
    }

    /// A document of a provider could never be read where the host answers itself.
    #[test]
    fn what_the_host_serves_below_a_mount_is_kept_for_it() {
        for endpoint in ROUTES.endpoints(Shelf::Mount(mount::Kind::Provider)) {
            let first = endpoint.pattern.split('/').next().unwrap();
            assert!(lessor_model::id::HOST_PATHS.contains(&first), "{first}");
        }
    }

    /// The login methods of the tests: two of one segment, one of two.
    fn login(path: &str) -> Option<(Kind, usize)> {
        [
            ("people", Kind::Userpass),
            ("Team/ci", Kind::AppRole),
            ("id", Kind::Jwt),
        ]
        .into_iter()
        .find_map(|(at, kind)| {
            let rest = path.strip_prefix(at)?;
            let fits = rest.is_empty() || rest.starts_with('/');
            fits.then(|| (kind, at.split('/').count()))
        })
    }

    /// Every name in which upper and lower case are the same, and paths that look like one.
    #[test]
    fn names_are_in_the_form_that_is_used_before_a_path_is_judged() {
        for (path, expected) in [
            ("sys/policies/acl/Ops", "sys/policies/acl/ops"),
            ("sys/policies/acl/Team/OPS", "sys/policies/acl/team/ops"),
            ("sys/policy/OPS", "sys/policy/ops"),
            ("sys/policies/acl", "sys/policies/acl"),
            ("sys/policies/RGP/X", "sys/policies/RGP/X"),
            ("auth/token/roles/CI", "auth/token/roles/ci"),
            ("auth/token/create/CI", "auth/token/create/ci"),
            ("auth/token/create-orphan", "auth/token/create-orphan"),
            ("auth/token/lookup/X", "auth/token/lookup/X"),
            ("auth/people/users/ADMIN", "auth/people/users/admin"),
            (
                "auth/people/users/ADMIN/Password",
                "auth/people/users/admin/Password",
            ),
            ("auth/people/login/ADMIN", "auth/people/login/admin"),
            ("auth/people/role/ADMIN", "auth/people/role/ADMIN"),
            ("auth/people/users", "auth/people/users"),
            ("auth/people", "auth/people"),
            (
                "auth/Team/ci/role/CI/secret-id",
                "auth/Team/ci/role/ci/secret-id",
            ),
            ("auth/Team/ci/ROLE/CI", "auth/Team/ci/ROLE/CI"),
            ("auth/team/ci/role/CI", "auth/team/ci/role/CI"),
            ("auth/id/role/Dev", "auth/id/role/dev"),
            ("auth/id/login/Dev", "auth/id/login/Dev"),
            ("auth/nowhere/users/Bob", "auth/nowhere/users/Bob"),
            ("sys/auth/People", "sys/auth/People"),
            ("sys/mounts/DB", "sys/mounts/DB"),
            ("DB/roles/Reader", "DB/roles/Reader"),
            (
                "sys/leases/revoke/DB/creds/R/0",
                "sys/leases/revoke/DB/creds/R/0",
            ),
        ] {
            let split = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            let once = ROUTES.canonical(split(path), login).unwrap();
            assert_eq!(once.join("/"), expected, "{path}");
            assert_eq!(ROUTES.canonical(once.clone(), login), Ok(once), "{path}");
            assert_eq!(
                ROUTES.canonical_text(path, login).as_deref(),
                Some(expected)
            );
            let spelled = format!("//{}/", path.replace('/', "//"));
            let listed = format!("{expected}/");
            assert_eq!(
                ROUTES.canonical_text(&spelled, login),
                Some(listed),
                "{path}"
            );
        }
    }

    /// Letters that look like others, or that only some readers fold into ASCII: the
    /// Kelvin sign, a Cyrillic a, a long s, full-width letters.
    #[test]
    fn names_that_look_like_others_are_refused() {
        for name in [
            "\u{212a}arl",
            "\u{430}dmin",
            "\u{17f}ys",
            "\u{ff52}oot",
            "b\u{f6}b",
            "a\u{200b}",
        ] {
            for path in [
                "sys/policies/acl/",
                "sys/policy/x/",
                "auth/token/roles/",
                "auth/token/create/",
                "auth/people/users/",
                "auth/people/login/",
                "auth/Team/ci/role/",
                "auth/id/role/",
            ] {
                let path = format!("{path}{name}");
                let segments = path.split('/').map(str::to_owned).collect();
                assert!(ROUTES.canonical(segments, login).is_err(), "{path}");
                assert_eq!(ROUTES.canonical_text(&path, login), None, "{path}");
            }
        }
        for path in ["a/../b", "./a", "a\\b", "a/ b", "a\n"] {
            assert_eq!(ROUTES.canonical_text(path, login), None, "{path}");
        }
    }
}
