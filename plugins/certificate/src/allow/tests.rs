//! Tables of names that pass and of names that do not, with every sentence.

use super::*;

fn role() -> Role {
    Role {
        allowed_dns: vec!["*.Example.com".into(), "**.svc.local".into()],
        allowed_ips: vec!["10.0.0.0/8".into(), "2001:db8::7".into()],
        allowed_uris: vec!["spiffe://prod/ns/*/sa/*".into()],
        allowed_emails: vec!["*@example.com".into()],
        ..Role::default()
    }
}

fn check(role: &Role, text: &str) -> Result<()> {
    Allowed::from_role(role)?.check("alt_names", &AltName::parse("alt_names", text)?)
}

#[test]
fn names_inside_the_patterns_pass() {
    for text in [
        "web.example.com",
        "WEB.EXAMPLE.COM",
        "a.b.svc.local",
        "10.255.0.1",
        "2001:db8::7",
        "spiffe://prod/ns/shop/sa/cart",
        "ada.lovelace@EXAMPLE.com",
    ] {
        check(&role(), text).unwrap();
    }
}

#[test]
fn a_refusal_names_the_field_the_name_and_what_is_allowed() {
    for (text, message) in [
        (
            "example.com",
            r#"alt_names: the DNS name "example.com" is not allowed; allowed_dns of the role has *.example.com, **.svc.local."#,
        ),
        (
            "a.b.example.com",
            r#"alt_names: the DNS name "a.b.example.com" is not allowed; allowed_dns of the role has *.example.com, **.svc.local."#,
        ),
        (
            "*.example.com",
            r#"alt_names: the wildcard name "*.example.com" is not allowed; the role would need allow_wildcards."#,
        ),
        (
            "192.0.2.1",
            r#"alt_names: the IP address "192.0.2.1" is not allowed; allowed_ips of the role has 10.0.0.0/8, 2001:db8::7/128."#,
        ),
        (
            "::ffff:10.0.0.1",
            r#"alt_names: the IP address "::ffff:10.0.0.1" is not allowed; allowed_ips of the role has 10.0.0.0/8, 2001:db8::7/128."#,
        ),
        (
            "spiffe://prod/ns/a/b/sa/c",
            r#"alt_names: the URI "spiffe://prod/ns/a/b/sa/c" is not allowed; allowed_uris of the role has spiffe://prod/ns/*/sa/*."#,
        ),
        (
            "ada@example.com.evil.org",
            r#"alt_names: the email address "ada@example.com.evil.org" is not allowed; allowed_emails of the role has *@example.com."#,
        ),
    ] {
        let failure = check(&role(), text).unwrap_err();
        assert_eq!(failure.message(), message);
        assert_eq!(failure.code(), "name_not_allowed");
    }
    let few = Role {
        allowed_ips: vec!["10.0.0.0/8".into()],
        ..Role::default()
    };
    let failure = check(&few, "web.example.com").unwrap_err();
    assert!(
        failure.message().ends_with("the role has no allowed_dns."),
        "{failure}"
    );
}

#[test]
fn a_wildcard_name_passes_only_where_role_and_pattern_take_it() {
    let role = Role {
        allow_wildcards: true,
        ..role()
    };
    check(&role, "*.example.com").unwrap();
    check(&role, "*.web.example.com").unwrap_err();
    check(&role, "*.org").unwrap_err();
}

#[test]
fn a_common_name_is_a_name_or_a_text_that_the_role_takes() {
    let role = Role {
        allowed_common_names: vec!["orders *".into()],
        ..role()
    };
    let allowed = Allowed::from_role(&role).unwrap();
    let dns = AltName::Dns("web.example.com".into());
    for (text, expected) in [
        ("web.example.com", Some(dns)),
        ("10.1.2.3", Some(AltName::Ip([10, 1, 2, 3].into()))),
        ("orders app", None),
    ] {
        assert_eq!(
            allowed.check_common_name("common_name", text).unwrap(),
            expected
        );
    }
    for (text, reason) in [
        ("", "1 to 64 printable"),
        ("a\nb", "1 to 64 printable"),
        (&*"x".repeat(65), "1 to 64 printable"),
        (
            "web.example.org",
            "allowed_common_names of the role has orders *.",
        ),
    ] {
        let failure = allowed.check_common_name("common_name", text).unwrap_err();
        assert!(failure.message().contains(reason), "{failure}");
    }
}

#[test]
fn allow_any_name_takes_every_well_formed_name() {
    let role = Role {
        allow_any_name: true,
        ..Role::default()
    };
    let allowed = Allowed::from_role(&role).unwrap();
    assert_eq!(
        allowed
            .check_common_name("common_name", "Ada Lovelace")
            .unwrap(),
        None
    );
    check(&role, "anything.example.org").unwrap();
    check(&role, "*.example.org").unwrap_err();
    let failure = allowed
        .check_common_name("common_name", "*.example.org")
        .unwrap_err();
    assert!(
        failure
            .message()
            .ends_with("the role would need allow_wildcards."),
        "{failure}"
    );
}

#[test]
fn a_pattern_that_cannot_work_is_refused() {
    let bad = |change: fn(&mut Role)| {
        let mut role = role();
        change(&mut role);
        Allowed::from_role(&role).unwrap_err().message().to_owned()
    };
    for (message, start) in [
        (
            bad(|role| role.allowed_dns.push("http://a".into())),
            "role.allowed_dns: \"http://a\" is not a pattern",
        ),
        (
            bad(|role| role.allowed_dns.push("a..b".into())),
            "role.allowed_dns: \"a..b\" has an empty part",
        ),
        (
            bad(|role| role.allowed_dns.push("**a.b".into())),
            "role.allowed_dns: \"**a.b\" has `**`",
        ),
        (
            bad(|role| role.allowed_ips.push("10.0.0.1/8".into())),
            "role.allowed_ips: \"10.0.0.1/8\" has bits",
        ),
        (
            bad(|role| role.allowed_ips.push("ten".into())),
            "role.allowed_ips: \"ten\" is not an IP",
        ),
        (
            bad(|role| role.allowed_uris.push("*://x".into())),
            "role.allowed_uris: \"*://x\" has a `*`",
        ),
        (
            bad(|role| role.allowed_uris.push("x".into())),
            "role.allowed_uris: \"x\" is not a pattern",
        ),
        (
            bad(|role| role.allowed_emails.push("x".into())),
            "role.allowed_emails: \"x\" is not a pattern",
        ),
        (
            bad(|role| role.allowed_common_names.push(String::new())),
            "role.allowed_common_names: \"\" is empty",
        ),
        (
            bad(|role| *role = Role::default()),
            "role: no name is allowed; give at least one of",
        ),
    ] {
        assert!(message.starts_with(start), "{message}");
    }
}
