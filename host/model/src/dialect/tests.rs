use serde_json::{Value, json};

use super::{Dialect, Does, Draft, DraftWord, Method, OWN_PATHS};

fn draft(path: &str, stands_for: &str) -> Draft {
    let does = Does::parse(stands_for);
    Draft {
        path: path.into(),
        methods: does.map_or(vec![Method::Post], |does| does.methods().to_vec()),
        stands_for: stands_for.into(),
        summary: "A path.".into(),
        ..Draft::default()
    }
}

fn word(name: &str, stands_for: &str, form: &str) -> DraftWord {
    DraftWord {
        name: name.into(),
        stands_for: stands_for.into(),
        form: form.into(),
    }
}

fn of(drafts: &[Draft]) -> Result<Dialect, String> {
    Dialect::of(drafts.to_vec(), &["ca".into(), "crl/".into()]).map_err(|flaw| flaw.to_string())
}

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

#[test]
fn vaults_paths_are_taken() {
    let dialect = [
        ("config/root", "read-config"),
        ("config/root", "write-config"),
        ("config/rotate-root", "rotate"),
        ("config/lease", "read-ttls"),
        ("config/lease", "write-ttls"),
        ("roles", "list-roles"),
        ("roles/{role}", "read-role"),
        ("creds/{role}", "issue"),
        ("sts/{role}", "issue"),
        // Those of other engines.
        ("config/{connection}", "read-config"),
        ("rotate-root/{connection}", "rotate"),
        ("static-creds/{account}", "read-account-credential"),
        ("issue/{role}", "issue"),
        ("roleset/{role}/key", "issue"),
        ("static-account/{account}/rotate", "rotate-account"),
    ]
    .map(|(path, does)| draft(path, does));
    of(&dialect).unwrap();
}

#[test]
fn a_dialect_that_is_refused_says_why() {
    type Change = fn(&mut Draft);
    let cases: [(&str, &str, Change, &str); 38] = [
        ("", "issue", |_| {}, "is no path below a mount"),
        ("/sts/{role}", "issue", |_| {}, "is no path below a mount"),
        ("sts//{role}", "issue", |_| {}, "is no path below a mount"),
        ("sts/../{role}", "issue", |_| {}, "is no path below a mount"),
        ("sts/{role", "issue", |_| {}, "is no path below a mount"),
        ("sts/{}", "issue", |_| {}, "is no path below a mount"),
        (
            "sts/a b/{role}",
            "issue",
            |_| {},
            "is no path below a mount",
        ),
        ("sts/*", "list-roles", |_| {}, "is no path below a mount"),
        (
            "a/b/c/d/e/f/g/h/{role}",
            "issue",
            |_| {},
            "has more than 8 segments",
        ),
        (
            "{role}/{role}",
            "issue",
            |_| {},
            "has more than one name in braces",
        ),
        (
            "sts/{name}",
            "issue",
            |_| {},
            "has {name}, but issue is done to {role}",
        ),
        (
            "sts",
            "issue",
            |_| {},
            "does not have {role}, to which issue is done",
        ),
        (
            "all/{role}",
            "list-roles",
            |_| {},
            "has {role}, but list-roles is done to no single thing",
        ),
        (
            "sts/{role}",
            "assume",
            |_| {},
            "stands for \"assume\", which this host does not know",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.methods.clear(),
            "takes no method",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.methods.push(Method::Get),
            "takes GET twice",
        ),
        (
            "turn",
            "rotate",
            |d| d.methods = vec![Method::Get],
            "takes GET for rotate, which the host does by POST",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.summary = "a\nb".into(),
            "has a summary that is not one line",
        ),
        // Paths that the host serves.
        (
            "roles",
            "rotate",
            |_| {},
            "the host serves itself, and not for rotate",
        ),
        (
            "roles/{role}",
            "issue",
            |_| {},
            "the host serves itself, and not for issue",
        ),
        (
            "config/rotate-root",
            "write-ttls",
            |_| {},
            "the host serves itself, and not for write-ttls",
        ),
        (
            "roles/special",
            "list-roles",
            |_| {},
            "would shadow roles/:name",
        ),
        (
            "{role}",
            "issue",
            |_| {},
            "would shadow config, which the host serves itself",
        ),
        (
            "rotate-root/now",
            "rotate",
            |_| {},
            "would shadow rotate-root/:name",
        ),
        (
            "{connection}/rotate-root",
            "rotate",
            |_| {},
            "would shadow config/:name",
        ),
        (
            "rotate-root/{connection}/retry",
            "rotate",
            |_| {},
            "the host serves itself, and not for rotate",
        ),
        // Documents that anybody may read.
        (
            "ca",
            "list-roles",
            |_| {},
            "meets \"ca\", a document that it publishes",
        ),
        (
            "crl/{role}",
            "read-role",
            |_| {},
            "meets \"crl/\", a document that it publishes",
        ),
        // Fields.
        (
            "sts/{role}",
            "issue",
            |d| d.takes = vec![word("a b", "c", "")],
            "takes \"a b\", which is no name of a field",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.takes = vec![word("a", "b..c", "")],
            "takes a for \"b..c\", which is no name",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.gives = vec![word("a", "b", "lst")],
            "did you mean \"list\"?",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.takes = vec![word("a", "b", ""); 2],
            "takes a twice",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.gives = vec![word("a", "b", ""); 65],
            "gives more than 64 fields",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.takes = vec![word("ttl", "max", "")],
            "takes ttl for max, but ttl is a field of the host",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.sets = vec![("ttl".into(), "1".into())],
            "sets ttl, which is no field of the provider",
        ),
        (
            "sts/{role}",
            "issue",
            |d| d.sets = vec![("a".into(), "{".into())],
            "sets a to JSON that",
        ),
        (
            "config/lease",
            "write-ttls",
            |d| d.takes = vec![word("a", "allowed_hosts", "")],
            "takes a for allowed_hosts, which is no field of write-ttls",
        ),
        (
            "config/lease",
            "write-ttls",
            |d| d.sets = vec![("allowed_hosts".into(), "[]".into())],
            "sets allowed_hosts, which is no field of the provider",
        ),
    ];
    for (path, does, change, says) in cases {
        let mut draft = draft(path, does);
        change(&mut draft);
        let sentence = of(&[draft]).unwrap_err();
        assert!(sentence.contains(says), "{path} {does}: {sentence}");
        assert!(sentence.starts_with("has the path "), "{sentence}");
    }
    let many = vec![draft("sts/{role}", "issue"); 129];
    assert_eq!(of(&many).unwrap_err(), "has more than 128 paths");
    let twice = [draft("a/{role}", "issue"), draft("a/{role}", "write-role")];
    assert!(of(&twice).unwrap_err().ends_with("is there twice for POST"));
}

#[test]
fn the_narrower_path_is_found_first() {
    let dialect = of(&[
        draft("a/{role}/c", "write-role"),
        draft("a/b/{role}", "issue"),
        draft("a/b/d", "list-roles"),
        draft("a/b/d", "write-ttls"),
    ])
    .unwrap();
    for (asked, method, expected) in [
        ("a/b/x", Method::Get, Some((Does::Issue, Some("x")))),
        ("a/b/c", Method::Post, Some((Does::Issue, Some("c")))),
        ("a/b/d", Method::List, Some((Does::ListRoles, None))),
        ("a/b/d", Method::Post, Some((Does::WriteTtls, None))),
        // The narrowest pattern of a path counts for every method.
        ("a/b/d", Method::Get, None),
        ("a/x/c", Method::Post, Some((Does::WriteRole, Some("x")))),
        ("a/b", Method::Get, None),
        ("a/b/c/d", Method::Get, None),
    ] {
        let asked_path = path(asked);
        let found = dialect.find(&asked_path, method);
        let found = found.map(|(alias, name)| (alias.stands_for, name));
        assert_eq!(found, expected, "{method} {asked}");
    }
}

#[test]
fn fields_go_in_and_out_in_the_words_of_a_client() {
    let mut config = draft("config/root", "write-config");
    config.takes = vec![
        word("access_key", "access_key_id", ""),
        word("endpoint", "endpoints.sts", ""),
        word("type", "kind", "list"),
        word("tuning", "", ""),
    ];
    config.sets = vec![("by".into(), "\"key\"".into())];
    config.gives = vec![
        word("region", "config.region", ""),
        word("types", "config.kind", "list"),
        word("lease", "rotation_period", "duration"),
        word("config", "version", ""),
        word("nothing", "config.nothing", ""),
    ];
    config.tells = vec![("max_retries".into(), "-1".into())];
    let dialect = of(&[config]).unwrap();
    let alias = &dialect.aliases()[0];
    for (sent, taken) in [
        (json!({}), Ok(json!({"by": "key"}))),
        (
            json!({"access_key": "A", "endpoint": "e", "type": ["k"], "region": "r", "endpoints": {"iam": "i"}}),
            Ok(json!({
                "region": "r", "endpoints": {"iam": "i", "sts": "e"}, "by": "key",
                "access_key_id": "A", "kind": "k",
            })),
        ),
        (json!({"access_key": null}), Ok(json!({"by": "key"}))),
        (
            json!({"access_key": "A", "access_key_id": "A"}),
            Ok(json!({"access_key_id": "A", "by": "key"})),
        ),
        (
            json!({"access_key": "A", "access_key_id": "B"}),
            Err("access_key and access_key_id are two names of one field: leave one of them out"),
        ),
        (
            json!({"endpoint": "e", "endpoints": "x"}),
            Err("endpoint and endpoints.sts are two names of one field: leave one of them out"),
        ),
        (
            json!({"type": ["a", "b"]}),
            Err("type must be one value, or a list of one"),
        ),
        (
            json!({"by": "role"}),
            Err("by is set by this path: leave it out"),
        ),
    ] {
        let Value::Object(fields) = sent.clone() else {
            panic!()
        };
        let outcome = alias
            .inward(fields)
            .map(|inward| Value::Object(inward.fields));
        assert_eq!(outcome, taken.map_err(str::to_owned), "{sent}");
    }
    for (sent, ignored) in [
        (json!({"tuning": 7}), vec!["tuning"]),
        (json!({"tuning": ""}), vec![]),
        (json!({"other": null}), vec![]),
    ] {
        let inward = alias.inward(sent.as_object().cloned().unwrap()).unwrap();
        assert_eq!(inward.ignored, ignored, "{sent}");
        assert_eq!(Value::Object(inward.fields), json!({"by": "key"}), "{sent}");
    }
    let Value::Object(mut shown) = json!({
        "config": {"region": "r", "kind": "k"}, "rotation_period": 5400, "version": 3,
    }) else {
        panic!()
    };
    alias.outward(&mut shown);
    assert_eq!(
        Value::Object(shown),
        json!({
            "config": {"region": "r", "kind": "k"}, "rotation_period": 5400, "version": 3,
            "region": "r", "types": ["k"], "lease": "1h30m0s", "max_retries": -1,
        })
    );
}

/// The settings of a mount beside the two are neither changed nor shown by an alias.
#[test]
fn an_alias_reaches_no_grant() {
    let mut lease = draft("config/lease", "write-ttls");
    lease.takes = vec![word("lease", "default_lease_ttl", "duration")];
    lease.gives = vec![word("lease", "default_lease_ttl", "duration")];
    let dialect = of(&[lease]).unwrap();
    let alias = &dialect.aliases()[0];
    let fields = |value: Value| value.as_object().cloned().unwrap();
    let refused = alias.inward(fields(json!({"lease": "1h", "allowed_hosts": ["tcp://*"]})));
    assert_eq!(
        refused.unwrap_err(),
        "allowed_hosts is not known: known are lease"
    );
    let taken = alias.inward(fields(json!({"lease": "1h", "max_lease_ttl": "2h"})));
    let expected = fields(json!({"default_lease_ttl": "1h", "max_lease_ttl": "2h"}));
    assert_eq!(taken.unwrap().fields, expected);
    let mut shown = fields(json!({"default_lease_ttl": 3600, "allowed_hosts": ["tcp://a:1"]}));
    alias.outward(&mut shown);
    let expected = fields(json!({"default_lease_ttl": 3600, "lease": "1h0m0s"}));
    assert_eq!(shown, expected);
}

#[test]
fn a_sentence_is_told_in_the_words_of_the_client() {
    let mut config = draft("config/root", "write-config");
    config.takes = vec![
        word("access_key", "access_key_id", ""),
        word("aws_region", "region", ""),
        word("sts_endpoint", "endpoints.sts", ""),
    ];
    let dialect = of(&[config]).unwrap();
    let alias = &dialect.aliases()[0];
    for (said, told) in [
        ("access_key_id is required", "access_key is required"),
        (
            "config.access_key_id is required",
            "config.access_key is required",
        ),
        ("access_key_id_2 is required", "access_key_id_2 is required"),
        (
            "my_access_key_id is required",
            "my_access_key_id is required",
        ),
        ("config.region is wrong", "config.aws_region is wrong"),
        ("region is wrong", "aws_region is wrong"),
        ("did you mean \"region\"?", "did you mean \"aws_region\"?"),
        ("the region is down", "the region is down"),
        (
            "config.endpoints.sts is wrong",
            "config.sts_endpoint is wrong",
        ),
        (
            "\u{e4}\u{1f600} access_key_id",
            "\u{e4}\u{1f600} access_key",
        ),
    ] {
        assert_eq!(alias.in_words(said), told);
    }
}

/// What the host does has a name, and is reached by the methods of the host alone.
#[test]
fn everything_that_the_host_does_is_known_by_its_name() {
    for does in Does::ALL {
        assert_eq!(Does::parse(does.as_str()), Some(does));
        assert_eq!(json!(does), json!(does.as_str()));
        for own in [does.own_path(true), does.own_path(false)] {
            assert!(does.is_of_the_mount() || OWN_PATHS.contains(&own), "{own}");
        }
        let changes = !does.as_str().starts_with("read") && !does.as_str().starts_with("list");
        let reads = does.methods().contains(&Method::Get) || does.methods().contains(&Method::List);
        // A credential is issued by either, as in Vault.
        assert!(does == Does::Issue || changes != reads, "{does:?}");
    }
}

#[test]
fn a_dialect_is_kept_as_it_is_shown() {
    let mut issue = draft("sts/{role}", "issue");
    issue.gives = vec![word("security_token", "session_token", "")];
    let dialect = of(&[issue]).unwrap();
    let shown = json!(dialect);
    assert_eq!(
        shown,
        json!([{
            "path": "sts/{role}",
            "methods": ["GET", "POST"],
            "stands_for": "issue",
            "summary": "A path.",
            "takes": [],
            "gives": [{"name": "security_token", "stands_for": "session_token", "form": ""}],
            "sets": {},
            "tells": {},
        }])
    );
    assert_eq!(serde_json::from_value::<Dialect>(shown).unwrap(), dialect);
}
