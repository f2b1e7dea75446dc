//! Only pinned bytes run: a file that cannot run is not pinned, and a file that changes is not
//! run.

use std::{
    fs,
    process::{Command, Stdio},
};

use lessor_tests::{
    fixture::Fixture,
    refusal::{Case, refuse_all},
    server::{Server, binary, built_plugins},
};
use serde_json::{Value, json};

#[test]
fn plugins_that_cannot_run_are_refused_and_not_pinned() {
    let server = Server::start();
    let good = server.digest("postgres.wasm");
    let put = |name: &str, bytes: &[u8]| {
        fs::write(server.plugins().join(name), bytes).unwrap();
        server.digest(name)
    };
    let text = put("text.wasm", b"not a component at all");
    let module = put("module.wasm", b"\0asm\x01\0\0\0");
    let empty = put("empty.wasm", b"\0asm\x0d\0\x01\0");
    let original = fs::read(server.plugins().join("postgres.wasm")).unwrap();
    let cut = put("cut.wasm", &original[..original.len() / 2]);
    let other = put("other.wasm", &other_version(&original));
    let changed_digest = format!(
        "{}{}",
        if good.starts_with('0') { '1' } else { '0' },
        &good[1..]
    );
    let pins = || server.http.get("sys/plugins/pins").data();
    let before = pins();

    let at = "sys/plugins/catalog/secret/x";
    let register = |command: &str, sha256: &str| json!({"command": command, "sha256": sha256});
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        ("digest mismatch", "PUT", at, register("postgres.wasm", &changed_digest), 400, &["postgres.wasm", &good]),
        ("no hex", "PUT", at, register("postgres.wasm", &"z".repeat(64)), 400, &["sha256", "64 hexadecimal digits"]),
        ("too short", "PUT", at, register("postgres.wasm", &good[..40]), 400, &["sha256", "64 hexadecimal digits"]),
        ("no digest", "PUT", at, json!({"command": "postgres.wasm"}), 400, &["sha256"]),
        ("no command", "PUT", at, json!({"sha256": good}), 400, &["command"]),
        ("file missing", "PUT", at, register("nosuch.wasm", &good), 400, &["nosuch.wasm"]),
        ("a file elsewhere", "PUT", at, register("../lessor.toml", &good), 400, &["../lessor.toml"]),
        ("a file elsewhere", "PUT", at, register("/etc/passwd", &good), 400, &["/etc/passwd"]),
        ("a directory", "PUT", at, register(".", &good), 400, &["command"]),
        ("no WebAssembly", "PUT", at, register("text.wasm", &text), 400, &["text.wasm", "component"]),
        ("a core module", "PUT", at, register("module.wasm", &module), 400, &["module.wasm", "component"]),
        ("half a component", "PUT", at, register("cut.wasm", &cut), 400, &["cut.wasm", "component"]),
        ("another world", "PUT", at, register("empty.wasm", &empty), 400, &["empty.wasm", "lessor:provider/provider@0.1.0"]),
        ("another WIT version", "PUT", at, register("other.wasm", &other), 400, &["other.wasm", "1.0.0", "9.0.0"]),
        ("unknown field", "PUT", at, json!({"command": "postgres.wasm", "sha265": good}), 400, &["sha265", "sha256"]),
        ("no version", "PUT", at, json!({"command": "postgres.wasm", "sha256": good, "version": "latest"}), 400, &["latest", "v1.2.3"]),
        ("unknown type", "PUT", "sys/plugins/catalog/sceret/x", register("postgres.wasm", &good), 400, &["sceret", "secret"]),
        ("a bad name", "PUT", "sys/plugins/catalog/secret/a%20b", register("postgres.wasm", &good), 400, &["a b"]),
    ];
    refuse_all(&server.http, cases);
    assert_eq!(pins(), before, "a refusal changed the pins");
}

/// The component as if built for version 9.0.0 of the contract.
fn other_version(component: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], b"lessor:plugin/") {
        at += found + 1;
        let name = &mut bytes[at..];
        if let Some(version) = find(&name[..name.len().min(48)], b"@1.0.0") {
            name[version..version + 6].copy_from_slice(b"@9.0.0");
        }
    }
    bytes
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[test]
fn a_digest_in_upper_case_is_accepted_and_compared() {
    let server = Server::start();
    let digest = server.digest("postgres.wasm");
    server
        .pin("upper", "postgres.wasm", &digest.to_uppercase())
        .ok();
    let shown = server.http.get("sys/plugins/catalog/secret/upper").data();
    assert_eq!(shown["sha256"], json!(digest), "{shown}");
    let (first, rest) = (digest.starts_with('a'), &digest.to_uppercase()[1..]);
    let wrong = format!("{}{rest}", if first { 'B' } else { 'A' });
    assert_ne!(wrong, digest.to_uppercase());
    let refused = server.pin("wrong", "postgres.wasm", &wrong);
    assert_eq!(refused.status, 400, "{refused:?}");
}

/// Requests from the instructions of Vault's plugins, of this year and of years ago.
#[test]
fn a_plugin_is_registered_in_every_form_that_vault_has_had() {
    let server = Server::start();
    let digest = server.digest("certificate.wasm");
    let own = "v0.1.0";
    for (changes, version, warns) in [
        (json!({"sha256": digest}), own, ""),
        (json!({"sha_256": digest}), own, ""),
        (
            json!({"sha256": digest, "version": "1.2.3", "replace": true}),
            "v1.2.3",
            "0.1.0",
        ),
        (
            json!({"sha256": digest, "version": "v1.2", "replace": true}),
            "v1.2.0",
            "0.1.0",
        ),
        (json!({"sha256": digest, "version": ""}), own, ""),
        (json!({"sha256": digest, "version": "0.1"}), own, ""),
        (
            json!({"sha256": digest, "args": ["--tls"]}),
            own,
            "args is not used",
        ),
        (json!({"sha256": digest, "args": "", "env": []}), own, ""),
        (
            json!({"sha256": digest, "env": ["A=b"]}),
            own,
            "env is not used",
        ),
        (json!({"sha256": digest, "builtin": false}), own, ""),
        (
            json!({"sha256": digest, "oci_image": "x", "runtime": "y"}),
            own,
            "runtime is not used",
        ),
    ] {
        let body = lessor_tests::fixture::changed(json!({"command": "certificate.wasm"}), &changes);
        let at = "sys/plugins/catalog/secret/x";
        let answer = server.http.put(at, &body).ok();
        assert_eq!(
            answer.text().contains("warnings"),
            !warns.is_empty(),
            "{body}: {answer:?}"
        );
        assert!(answer.text().contains(warns), "{body}: {answer:?}");
        let shown = server.http.get(at).data();
        assert_eq!(shown["version"], version, "{body}");
        // The document that a read shows can be written back.
        server.http.put(at, &shown).ok();
        assert_eq!(server.http.get(at).data()["version"], version);
        let named = version.trim_start_matches('v');
        let found = server.http.get(&format!("{at}?version={named}")).data();
        assert_eq!(found["version"], version);
        server.http.delete(&format!("{at}?version={named}")).ok();
        server.http.get(at).nothing_here();
    }
}

#[test]
fn a_plugin_file_that_changes_after_pinning_disables_its_mounts_and_nothing_else() {
    let mut fixture = Fixture::start();
    let file = fixture.server.plugins().join("postgres.wasm");
    let original = fs::read(&file).unwrap();
    let lease = fixture.issue("reader");

    let mut tampered = original.clone();
    *tampered.last_mut().unwrap() ^= 1;
    fs::write(&file, tampered).unwrap();
    fixture.server.kill();
    fixture.server.restart();
    let answer = fixture.server.http.get("db/creds/reader");
    let sentence = answer.clone().refused(503);
    assert!(sentence.contains("postgres.wasm"), "{sentence}");
    let shown = fixture
        .server
        .http
        .get("sys/plugins/catalog/secret/postgres")
        .data();
    assert_eq!(shown["state"], json!("digest mismatch"), "{shown}");
    // The rest of the host is untouched, and the leases are still known.
    fixture
        .server
        .http
        .post("sys/mounts/ca", &json!({"type": "certificate"}))
        .ok();
    assert_eq!(
        fixture.server.leases("db/creds"),
        std::slice::from_ref(&lease.id)
    );

    fs::write(&file, original).unwrap();
    fixture
        .server
        .http
        .put("sys/plugins/reload/backend", &json!({"plugin": "postgres"}))
        .ok();
    fixture.revoke(&lease).ok();
    fixture.await_exactly(&[]);
}

/// An operator used to need a copy of the file beside the command line to see what it wants.
#[test]
fn a_file_is_looked_into_where_it_lies_before_anybody_pins_it() {
    let server = Server::start();
    let http = &server.http;
    let built = built_plugins().join("test/misbehaving.wasm");
    fs::copy(&built, server.plugins().join("candidate.wasm")).expect("run cargo xtask test");
    fs::write(server.plugins().join("text.wasm"), b"not a component").unwrap();
    let pins = http.get("sys/plugins/pins").data();

    let shown = http.get("sys/plugins/inspect/candidate.wasm").data();
    assert_eq!(shown["file"], "candidate.wasm");
    assert_eq!(shown["sha256"], server.digest("candidate.wasm"));
    assert_eq!(shown["pins"], json!([]));
    assert!(shown["descriptor"]["endpoints"].is_array(), "{shown}");
    assert!(shown["descriptor"]["config_schema"]["properties"]["root"].is_object());
    let imports = shown["component"]["imports"].to_string();
    assert!(imports.contains("lessor:plugin/"), "{imports}");
    assert!(shown["contract"].is_string(), "{shown}");
    // The file is still unpinned, and a pinned file is shown with its pins.
    assert_eq!(http.get("sys/plugins/pins").data(), pins);
    let unpinned = http.get("sys/plugins/unpinned").data();
    assert!(
        unpinned.to_string().contains("candidate.wasm"),
        "{unpinned}"
    );
    let shown = http.get("sys/plugins/inspect/postgres.wasm").data();
    assert_eq!(shown["pins"][0]["name"], "postgres", "{shown}");

    for (file, status, says) in [
        ("nosuch.wasm", 404, "nosuch.wasm"),
        ("text.wasm", 400, "text.wasm"),
        ("..%2Flessor.toml", 400, ""),
        ("candidate.wasm?sha265=1", 400, "sha265"),
    ] {
        let refused = http
            .get(&format!("sys/plugins/inspect/{file}"))
            .refused(status);
        assert!(refused.contains(says), "{file}: {refused}");
    }

    // The operation runs code, so it needs `sudo`.
    for (name, capabilities, status) in [
        ("looks", r#"["read"]"#, 403),
        ("may", r#"["read", "sudo"]"#, 200),
    ] {
        let rules = format!("path \"sys/plugins/inspect/*\" {{ capabilities = {capabilities} }}");
        http.put(
            &format!("sys/policies/acl/{name}"),
            &json!({"policy": rules}),
        )
        .ok();
        let made = http
            .post("auth/token/create", &json!({"policies": [name]}))
            .ok()
            .json();
        let token = http.with_token(made["auth"]["client_token"].as_str().unwrap());
        assert_eq!(
            token.get("sys/plugins/inspect/candidate.wasm").status,
            status,
            "{name}"
        );
    }

    // By name, the command line prints the same as for a copy.
    let inspect = |words: &[&str]| -> Value {
        let done = Command::new(binary())
            .args(["plugin", "inspect", "--output", "json"])
            .args(words)
            .env("LESSOR_ADDR", http.base())
            .env("LESSOR_TOKEN", http.token())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let there = inspect(&["candidate.wasm", "--on-server"]);
    let here = inspect(&[built.to_str().unwrap()]);
    for field in ["sha256", "contract", "descriptor", "component"] {
        assert_eq!(there[field], here[field], "{field}");
    }
}
