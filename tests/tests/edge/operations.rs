//! Questions of operators and user interfaces to a running server: its versions, the machine,
//! the requests under way, the log, and the mounts.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
};

use lessor_tests::{fixture::Fixture, http::Http, server::Server, wait::PATIENCE};
use serde_json::{Value, json};

/// A token with a policy of these rules, and `default`.
fn holder(http: &Http, rules: &str) -> Http {
    http.put("sys/policies/acl/holder", &json!({"policy": rules}))
        .ok();
    let made = http.post("auth/token/create", &json!({"policies": ["holder"]}));
    let made = made.ok().json();
    http.with_token(made["auth"]["client_token"].as_str().unwrap())
}

#[test]
fn the_version_of_the_api_is_vaults_and_our_own_stands_beside_it() {
    let mut server = Server::start();
    for path in ["sys/health", "sys/seal-status"] {
        let shown = server.http.get(path).json();
        assert!(
            shown["version"].as_str().unwrap().starts_with("1.21."),
            "{shown}"
        );
        assert_eq!(
            shown["lessor_version"],
            env!("CARGO_PKG_VERSION"),
            "{shown}"
        );
    }
    let history = server.http.list("sys/version-history").data();
    assert_eq!(history["keys"], json!([env!("CARGO_PKG_VERSION")]));
    server.kill();
    server.restart();
    assert_eq!(server.http.list("sys/version-history").data(), history);
    assert_eq!(server.http.get("sys/version-history").status, 405);
}

#[test]
fn what_goes_on_is_told_to_those_who_may_know() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let default = holder(http, r#"path "nothing" { capabilities = ["read"] }"#);
    for path in [
        "sys/host-info",
        "sys/in-flight-req",
        "sys/ha-status",
        "sys/monitor",
        "sys/internal/counters/tokens",
        "sys/internal/counters/entities",
    ] {
        assert_eq!(default.get(path).status, 403, "{path}");
        assert_eq!(http.without_token().get(path).status, 403, "{path}");
    }
    assert_eq!(default.list("sys/version-history").status, 403);

    let under_way = http.get("sys/in-flight-req").ok().json();
    let requests: Vec<&Value> = under_way.as_object().unwrap().values().collect();
    assert_eq!(requests.len(), 1, "{under_way}");
    assert_eq!(requests[0]["request_path"], "/v1/sys/in-flight-req");
    assert_eq!(requests[0]["request_method"], "GET");
    let own = http.get("auth/token/lookup-self").data();
    assert_eq!(requests[0]["client_id"], own["accessor"]);
    let info = http.get("sys/host-info").data();
    assert!(info["memory"]["total"].as_u64().unwrap() > 0, "{info}");
    assert!(info["cpu"][0]["cpu"].is_u64() && info["host"]["hostname"].is_string());
    let nodes = http.get("sys/ha-status").data();
    assert_eq!(nodes["nodes"][0]["active_node"], true, "{nodes}");
    let tokens = || {
        http.get("sys/internal/counters/tokens").data()["counters"]["service_tokens"]["total"]
            .as_u64()
    };
    let before = tokens();
    http.post("auth/token/create", &json!({"policies": ["holder"]}))
        .ok();
    assert_eq!(tokens(), before.map(|count| count + 1));
}

/// Lines of a monitor; the connection ends with it.
fn monitor(http: &Http, query: &str) -> BufReader<TcpStream> {
    let address = http.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let token = http.token();
    write!(
        stream,
        "GET /v1/sys/monitor?{query} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\n\r\n"
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    reader
}

/// The next line with `wanted` in it; none at the end.
fn line_with(reader: &mut BufReader<TcpStream>, wanted: &str) -> Option<String> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if line.contains(wanted) {
            return Some(line);
        }
    }
}

#[test]
fn the_log_can_be_watched_until_the_server_stops() {
    let mut fixture = Fixture::start();
    let http = &fixture.server.http;
    let mut text = monitor(http, "log_level=info");
    let mut json = monitor(http, "log_level=debug&log_format=json");
    let lease = fixture.issue("reader");
    let line = line_with(&mut text, &lease.id).expect("a line about the lease");
    assert!(line.contains("[INFO]"), "{line}");
    let line = line_with(&mut json, &lease.id).expect("a line about the lease");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert!(
        line["@message"].is_string() && line["@module"].is_string(),
        "{line}"
    );
    // Only one of the two asked for events of that level.
    http.get("sys/mounts").ok();
    assert!(line_with(&mut json, "answered a request").is_some());
    for query in ["log_level=loud", "log_format=xml"] {
        http.get(&format!("sys/monitor?{query}")).refused(400);
    }
    let many: Vec<_> = (0..6).map(|_| monitor(http, "")).collect();
    http.get("sys/monitor").refused(429);
    drop(many);

    fixture.revoke(&lease).ok();
    assert!(fixture.server.stop().success());
    let mut rest = String::new();
    while text.read_line(&mut rest).unwrap() > 0 {}
    assert!(!rest.contains("answered a request"), "{rest}");
    assert!(!rest.contains(&lease.password), "{rest}");
}

#[test]
fn user_interfaces_are_shown_the_mounts_that_their_user_may_know_of() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    http.post(
        "sys/mounts/other",
        &json!({"type": "postgres", "description": "another"}),
    )
    .ok();
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    let names = |http: &Http| {
        let shown = http.get("sys/internal/ui/mounts").data();
        let names = |kind: &str| {
            let fields = shown[kind].as_object().unwrap();
            fields.keys().cloned().collect::<Vec<_>>()
        };
        [names("auth"), names("secret")]
            .concat()
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let user = holder(
        http,
        r#"path "db/creds/reader" { capabilities = ["read"] }"#,
    );
    let stranger = http.without_token();
    assert_eq!(names(http), set(&["token/", "people/", "db/", "other/"]));
    assert_eq!(names(&user), set(&["token/", "db/"]));
    assert_eq!(names(&stranger), set(&[]));
    assert_eq!(
        http.with_token("wrong")
            .get("sys/internal/ui/mounts")
            .status,
        403
    );

    for path in ["sys/mounts/other/tune", "sys/auth/people/tune"] {
        http.post(path, &json!({"listing_visibility": "unauth"}))
            .ok();
        assert_eq!(
            http.get(path).data()["listing_visibility"],
            "unauth",
            "{path}"
        );
    }
    assert_eq!(names(&user), set(&["token/", "people/", "db/", "other/"]));
    let shown = stranger.get("sys/internal/ui/mounts").data();
    let entry = json!({"type": "postgres", "description": "another", "options": {}});
    assert_eq!(shown["secret"], json!({"other/": entry}));
    assert_eq!(shown["auth"]["people/"]["type"], "userpass");
    http.post("sys/mounts/other/tune", &json!({"listing_visibility": ""}))
        .ok();
    assert_eq!(names(&stranger), set(&["people/"]));
    let login = http
        .get("sys/internal/ui/mounts/auth/people/login/bob")
        .data();
    assert_eq!(
        (&login["path"], &login["type"]),
        (&json!("people/"), &json!("userpass"))
    );
    assert_eq!(user.get("sys/internal/ui/mounts/auth/nosuch").status, 403);

    let acl = user.get("sys/internal/ui/resultant-acl").data();
    assert_eq!(acl["root"], false);
    assert_eq!(
        acl["exact_paths"]["db/creds/reader"],
        json!({"capabilities": ["read"]})
    );
    assert!(
        acl["glob_paths"]["sys/internal/ui/mounts/"].is_object(),
        "{acl}"
    );
    assert_eq!(
        http.get("sys/internal/ui/resultant-acl").data(),
        json!({"root": true})
    );
}

/// The document has the mounts that its caller may know of, with the schemas of their
/// providers.
#[test]
fn the_api_describes_itself_to_programs() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    let document = http.get("sys/internal/specs/openapi").ok().json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let role =
        &paths["/db/roles/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    let fields = &role["properties"];
    assert!(
        fields["max_ttl"].is_object() && fields["member_of"].is_object(),
        "{role}"
    );
    assert!(paths["/auth/people/login/{username}"]["post"]["security"] == json!([]));
    for (path, item) in paths {
        for done in ["get", "post", "delete"]
            .iter()
            .filter_map(|method| item.get(*method))
        {
            let statuses = done["responses"].as_object().expect("responses");
            let is_open = done["security"] == json!([]);
            let (may_refuse, may_do) = (statuses.contains_key("403"), |status: &str| {
                statuses.contains_key(status)
            });
            assert!(may_refuse || is_open, "{path}");
            let answers = ["200", "202", "204"].into_iter().any(may_do);
            // An operation that is only refused is in the document with its refusal.
            assert!(answers || path.contains("/oidc/"), "{path}");
        }
    }
    let answer = |path: &str, method: &str, status: &str| {
        let answers = &paths[path][method]["responses"];
        answers[status]["content"]["application/json"]["schema"].clone()
    };
    let credential = answer("/db/creds/{role}", "get", "200");
    let data = &credential["allOf"][1]["properties"]["data"]["properties"];
    assert!(data["password"].is_object(), "{credential}");
    // In OpenAPI, `writeOnly` marks fields that no answer holds: Schemathesis found that the
    // document forbade the password in the very answer that hands it out.
    assert!(
        !credential.to_string().contains("writeOnly"),
        "{credential}"
    );
    let mount = answer("/sys/mounts/{path}", "get", "200");
    let data = &mount["allOf"][1]["properties"]["data"];
    assert_eq!(data["$ref"], "#/components/schemas/Mount");
    let mount = &document["components"]["schemas"]["Mount"]["properties"];
    assert_eq!(mount["accessor"]["type"], "string");
    assert_eq!(
        answer("/sys/mounts/{path}", "get", "404")["$ref"],
        "#/components/schemas/Errors"
    );
    let stranger = holder(http, r#"path "nothing" { capabilities = ["read"] }"#);
    stranger.get("sys/internal/specs/openapi").refused(403);
    let reader = holder(
        http,
        r#"path "sys/internal/specs/openapi" { capabilities = ["read"] }"#,
    );
    let shown = reader.get("sys/internal/specs/openapi").ok().json();
    let shown = shown["paths"].as_object().expect("paths");
    assert!(shown.contains_key("/sys/mounts"));
    assert!(
        !shown.keys().any(|path| path.starts_with("/db/")),
        "a mount that it may not know of"
    );
}

#[test]
fn what_the_document_calls_required_is_asked_for() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    for kind in ["userpass", "approle", "jwt"] {
        http.post(&format!("sys/auth/{kind}"), &json!({"type": kind}))
            .ok();
    }
    let document = http.get("sys/internal/specs/openapi").ok().json();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let body = &item["post"]["requestBody"];
        if body["required"] != true {
            continue;
        }
        asked += 1;
        let schema = &body["content"]["application/json"]["schema"];
        assert!(schema["required"].is_array(), "{path}");
        let parts = path.trim_start_matches('/').split('/');
        let filled: Vec<_> = parts
            .map(|part| if part.starts_with('{') { "app" } else { part })
            .collect();
        let answer = http.post(&filled.join("/"), &json!({}));
        assert!((400..405).contains(&answer.status), "{answer:?}");
    }
    assert!(asked > 20, "{asked}");
}

#[test]
fn every_path_says_what_it_does() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    let user = holder(http, r#"path "nothing" { capabilities = ["read"] }"#);
    for (path, wanted) in [
        ("sys", "sys/mounts/:path/tune"),
        ("sys/health", "GET"),
        ("sys/policy", "policies"),
        ("sys/mounts/a/b/tune", "listing_visibility"),
        ("auth/token/create", "num_uses"),
        ("auth/people", "users/:username"),
        ("auth/people/users/bob", "password_hash"),
        ("auth/people/login/bob", "password"),
        ("db", "creds/:role"),
        ("db/config", "rotation_schedule"),
        // The provider's fields beside the host's.
        ("db/roles/any", "member_of"),
        ("db/creds/any", "ttl"),
    ] {
        let shown = user.get(&format!("{path}?help=1")).ok().json();
        let help = shown["help"].as_str().expect("help");
        assert!(help.contains(wanted), "{path}: {help}");
        assert_eq!(shown["see_also"], json!([]), "{path}");
    }
    for path in ["nosuch", "sys/nosuch", "auth/nosuch", "db/nosuch"] {
        user.get(&format!("{path}?help=1")).nothing_here();
    }
    assert_eq!(http.without_token().get("sys/mounts?help=1").status, 403);
    assert!(
        fixture.server.leases("db").is_empty(),
        "asking for help issues nothing"
    );
}

#[test]
fn another_namespace_is_refused_and_nothing_is_done_in_the_root() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    for namespace in ["nosuch", "team/red", "root/x", "/a/"] {
        let within = [("X-Vault-Namespace", namespace)];
        let refused = http
            .send("GET", "db/creds/reader", &within, None)
            .refused(404);
        assert!(refused.starts_with("namespace not found"), "{refused}");
        http.send("GET", "sys/health", &within, None).refused(400);
        let login = http.send("POST", "auth/people/login/bob", &within, Some(b"{}"));
        login.refused(404);
    }
    fixture.await_exactly(&[]);
    for namespace in ["", "/", "root", "root/", " root "] {
        let within = [("X-Vault-Namespace", namespace)];
        http.send("GET", "sys/mounts", &within, None).ok();
        http.send("GET", "sys/health", &within, None).ok();
    }
}

#[test]
fn what_is_set_on_a_mount_is_kept_and_what_has_no_effect_is_warned_of() {
    let server = Server::start();
    let http = &server.http;
    let all = json!({
        "listing_visibility": "hidden",
        "audit_non_hmac_request_keys": ["ttl"],
        "audit_non_hmac_response_keys": "username,host",
        "passthrough_request_headers": ["X-A"],
        "allowed_response_headers": "X-B",
        "allowed_managed_keys": ["k"],
        "delegated_auth_accessors": ["a"],
        "identity_token_key": "k",
        "force_no_cache": true,
        "description": "d",
        "options": {"version": "2"},
    });
    let wanted = json!({
        "listing_visibility": "hidden",
        "audit_non_hmac_request_keys": ["ttl"],
        "audit_non_hmac_response_keys": ["username", "host"],
        "passthrough_request_headers": ["X-A"],
        "allowed_response_headers": ["X-B"],
        "allowed_managed_keys": ["k"],
        "delegated_auth_accessors": ["a"],
        "identity_token_key": "k",
        "force_no_cache": true,
        "description": "d",
        "options": {"version": "2"},
    });
    http.post("sys/mounts/x", &json!({"type": "postgres"})).ok();
    http.post("sys/auth/x", &json!({"type": "userpass"})).ok();
    for path in [
        "sys/mounts/x/tune",
        "sys/auth/x/tune",
        "sys/mounts/auth/x/tune",
    ] {
        let warnings = http.post(path, &all).ok().json()["warnings"].to_string();
        for name in [
            "passthrough_request_headers",
            "identity_token_key",
            "options",
        ] {
            assert!(warnings.contains(name), "{path}: {warnings}");
        }
        assert!(!warnings.contains("listing_visibility"), "{warnings}");
        let shown = http.get(path).data();
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{path}: {name}");
        }
        // The document that is read can be written back, and reads the same.
        http.post(path, &wanted).ok();
        assert_eq!(http.get(path).data(), shown, "{path}");
    }
    for (listed, entry) in [("sys/mounts", "sys/mounts/x"), ("sys/auth", "sys/auth/x")] {
        let shown = http.get(entry).data();
        assert_eq!(shown["config"]["allowed_response_headers"], json!(["X-B"]));
        assert_eq!(shown["options"], json!({"version": "2"}));
        assert!(shown["config"]["options"].is_null(), "{shown}");
        let answer = http.get(listed).ok().json();
        assert_eq!(answer["data"]["x/"], shown, "{answer}");
        assert_eq!(answer["x/"], shown, "older clients look beside `data`");
    }
    for path in ["sys/mounts/x/tune", "sys/auth/x/tune"] {
        let empty = json!({
            "audit_non_hmac_request_keys": [], "options": {}, "listing_visibility": "", "force_no_cache": false,
        });
        assert_eq!(http.post(path, &empty).status, 204);
        let shown = http.get(path).data();
        assert!(
            shown.get("audit_non_hmac_request_keys").is_none(),
            "{shown}"
        );
        assert_eq!(
            (&shown["force_no_cache"], &shown["description"]),
            (&json!(false), &json!("d"))
        );
        let refused = http
            .post(path, &json!({"listing_visibility": "all"}))
            .refused(400);
        assert!(refused.contains("listing_visibility"), "{refused}");
    }
    let beside = json!({"type": "postgres", "local": true, "seal_wrap": true, "external_entropy_access": true});
    let made = http.post("sys/mounts/y", &beside).ok().json();
    assert_eq!(made["warnings"].as_array().unwrap().len(), 1, "{made}");
    let shown = http.get("sys/mounts/y").data();
    for name in ["local", "seal_wrap", "external_entropy_access"] {
        assert_eq!(shown[name], true, "{shown}");
    }
    for (name, value) in [
        ("token_type", json!("batch")),
        ("user_lockout_config", json!({"lockout_threshold": "3"})),
    ] {
        let refused = http
            .post("sys/mounts/x/tune", &json!({name: value}))
            .refused(400);
        assert!(refused.contains(name), "{refused}");
    }
}

#[test]
fn fields_that_a_mount_names_stand_in_the_audit_log_as_they_are() {
    let fixture = Fixture::start();
    let http = &fixture.server.http;
    let keys = json!({
        "audit_non_hmac_request_keys": ["ttl"], "audit_non_hmac_response_keys": ["username", "max_ttl"],
    });
    http.post("sys/mounts/db/tune", &keys).ok();
    let lease = http
        .post("db/creds/reader", &json!({"ttl": "17m"}))
        .ok()
        .json();
    let username = lease["data"]["username"].as_str().unwrap();
    let password = lease["data"]["password"].as_str().unwrap();
    http.get("db/roles/reader").ok();
    http.post("sys/auth/people", &json!({"type": "userpass"}))
        .ok();
    http.post(
        "sys/auth/people/tune",
        &json!({"audit_non_hmac_request_keys": ["token_policies"]}),
    )
    .ok();
    http.post(
        "auth/people/users/bob",
        &json!({"password": "canary", "token_policies": "seen"}),
    )
    .ok();
    let audit = fixture.server.audit();
    let line_of = |path: &str| {
        let lines = audit
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut lines = lines.filter(|line| line["type"] == "request" && line["path"] == path);
        lines.next_back().expect("a line")
    };
    let issued = line_of("db/creds/reader");
    assert_eq!(issued["request"]["ttl"], "17m", "{issued}");
    assert_eq!(issued["response"]["data"]["username"], username, "{issued}");
    assert_ne!(issued["response"]["data"]["password"], password, "{issued}");
    let role = line_of("db/roles/reader")["response"]["data"].clone();
    assert_eq!(role["max_ttl"], 86_400, "{role}");
    assert!(role.get("member_of").is_none(), "{role}");
    assert_eq!(
        line_of("auth/people/users/bob")["request"]["token_policies"],
        "seen"
    );
    assert!(!audit.contains(password) && !audit.contains("canary"));
}
