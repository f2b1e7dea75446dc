//! Guests that hand out secrets, and guests that log too much.

use lessor_tests::{server::Server, wait::eventually_true};
use serde_json::json;

use super::{
    guest,
    row::row,
    stage::{Stage, note, without_secrets},
};

/// The limits of log output in these tests, so low that a short flood passes them.
const EVENTS: u64 = 20;
const BYTES: u64 = 8192;

#[test]
fn no_secret_and_no_flood_leaves_by_what_a_guest_says() {
    let settings = format!("log_events = {EVENTS}\nlog_bytes = {BYTES}");
    let stage = Stage::start(Server::setup(), &settings, &[]);
    #[rustfmt::skip]
    stage.play(&[
        row(guest::SECRET_IN_THE_FAILURE).fails("bad_login", &["upstream refused **** as root"]),
        row(guest::SECRET_IN_THE_ID).fails("credential_id", &["holds a secret that the provider"]),
        row(guest::ROOT_IN_THE_ID).fails("credential_id", &["holds a secret that the provider"]),
        row(guest::SECRET_IN_METADATA),
        row(guest::SECRET_IN_THE_LOG).logged(&["root **** next line", "password=****", "key=****"]),
        row(guest::SECRET_IN_A_PANIC).fails("trap", &["crashed", "in the host's log"]).logged(&["could not log in as ****"]),
        row(guest::SECRET_ON_STANDARD_OUTPUT).logged(&["printed ****", "complained about ****"]),
        row(guest::SECRET_AS_BASE64).logged(&["basic=****"]),
        row(guest::SECRET_AS_BASE64_URL).logged(&["payload=****"]),
        row(guest::SECRET_AS_HEX).logged(&["lower=**** upper=****"]),
        row(guest::SECRET_AS_URL).logged(&["url=**** form=****", "json={"]),
        row(guest::SECRET_CUT_BY_THE_CAP).number(BYTES).drops("limit_log_bytes", "stdout", BYTES),
        row(guest::LOG_FLOOD).number(EVENTS + 980).drops("limit_log_events", "log", EVENTS).audited(&["\"dropped\":980"]).logged(&["flood 19"]),
        row(guest::LINE_FLOOD).number(EVENTS + 980).drops("limit_log_events", "stdout", EVENTS).audited(&["\"dropped\":980", "stdout"]).logged(&["row-19"]),
        row(guest::LONG_LOG_EVENT).drops("limit_log_bytes", "log", BYTES).audited(&["\"dropped\":1}"]),
        row(guest::MANY_SECRETS).logged(&["****"]).costly(),
        row(guest::STDOUT_FLOOD).number(100_u64).drops("limit_log_bytes", "stdout", BYTES),
    ]);

    // The parts of a credential that the host keeps in clear.
    let lease = stage.create("bad", guest::SECRET_IN_METADATA).ok().json();
    let shown = stage.server.lookup(lease["lease_id"].as_str().unwrap());
    without_secrets("lease", &shown.text()).unwrap();
    let metadata = shown.data()["metadata"].take();
    assert_eq!(metadata, json!({"note": "**** and ****", "kept": "plain"}));

    // Too many secrets to look for, so the whole text is masked.
    let lease = stage.create("bad", guest::MANY_SECRETS).ok().json();
    let shown = stage.server.lookup(lease["lease_id"].as_str().unwrap());
    assert_eq!(shown.data()["metadata"], json!({"****": "****"}));
    assert!(!stage.server.log().contains("unsearchable"));

    // Derived bytes are a secret, too.
    let derived = note(&stage.create("bad", guest::SECRET_IN_THE_LOG));
    assert_eq!(derived.len(), 32);
    assert!(!stage.server.log().contains(&derived));

    let flood = stage.server.log();
    assert!(!flood.contains(&format!("flood {EVENTS}")));
    assert!(!flood.contains(&format!("row-{EVENTS}")));
}

/// A value that an earlier call has kept is a secret of every call that finds it, and no other
/// call can find it.
#[test]
fn what_is_kept_between_calls_leaves_by_no_way_and_is_found_by_nobody_else() {
    let stage = Stage::start(Server::setup(), "memo = 4194304", &[]);
    let keep = json!({"act": "memo"});
    stage.role("bad", "keeps", &keep);
    assert_eq!(note(&stage.create("bad", "keeps").ok()), "found: false");
    assert_eq!(note(&stage.create("bad", "keeps").ok()), "found: true");
    #[rustfmt::skip]
    stage.play(&[
        row(guest::MEMO_IN_THE_LOG).notes(&["found: true"]).logged(&["the token is ****", "and ****"]),
        row(guest::MEMO_IN_THE_FAILURE).fails("token_refused", &["upstream refused ****"]),
        row(guest::MEMO_IN_THE_ID).fails("credential_id", &["holds a secret that the provider"]),
    ]);
    // A flood pushes out what is there, and nothing of others.
    stage.play(&[row(guest::MEMO_FLOOD)
        .number(200_u64)
        .notes(&["kept: 64"])
        .costly()]);
    assert_eq!(note(&stage.create("bad", "keeps").ok()), "found: false");

    stage.mount("other", "misbehaving", &[]);
    stage.role(
        "other",
        "looks",
        &json!({"act": guest::MEMO_OF_ANOTHER_MOUNT}),
    );
    assert_eq!(note(&stage.create("other", "looks").ok()), "found: false");
    stage.role(
        "bad",
        "looks",
        &json!({"act": guest::MEMO_OF_ANOTHER_MOUNT}),
    );
    assert_eq!(note(&stage.create("bad", "looks").ok()), "found: true");

    // Another config, and nothing of the former one is there.
    stage
        .server
        .http
        .post("bad/config", &json!({"root": "canary-root"}))
        .ok();
    assert_eq!(note(&stage.create("bad", "looks").ok()), "found: false");
    let all = stage.server.log() + &stage.server.audit() + &database(&stage);
    assert!(!all.contains("canary-memo"), "a kept secret was told");
}

/// A token that says who a mount is opens upstream systems: it is told to nobody, and
/// given for whom the operator allowed.
#[test]
fn who_a_mount_is_leaves_by_no_way_and_is_shown_to_nobody_else() {
    let setup = Server::setup().config("issuer = \"https://lessor.example\"");
    let stage = Stage::start(setup, "", &[]);
    let audience = "sts.amazonaws.com";
    let tune = json!({"identity_audiences": [audience], "timeout": "20s"});
    stage.server.http.post("sys/mounts/bad/tune", &tune).ok();
    #[rustfmt::skip]
    stage.play(&[
        row(guest::IDENTITY_IN_THE_LOG).target(audience).fails("token_refused", &["upstream refused ****"]).logged(&["I am ****"]),
        row(guest::IDENTITY_ELSEWHERE).ends(400, "grant_missing", &["evil.example", "identity_audiences"]).audited(&["evil.example"]),
        row(guest::IDENTITY_TOO_OFTEN).target(audience).number(17_u64).fails("trap", &["more than 16 tokens"]).costly(),
    ]);
    let all = stage.server.log() + &stage.server.audit() + &database(&stage);
    // Every token begins with these letters.
    assert!(!all.contains("eyJ"), "a token was told");
}

/// The host knows the secrets that a call makes before the call returns them, also where it
/// fails.
#[test]
fn a_secret_that_came_to_be_in_a_call_leaves_by_no_way() {
    let stage = Stage::start(Server::setup(), "", &[]);
    let masked = "password **** key **** token ****";
    let role = |way: &str| {
        let role = json!({"act": guest::DERIVED_SECRET, "target": way});
        stage.role("bad", "derives", &role);
        stage.create("bad", "derives")
    };
    let told = || {
        let all = stage.server.log() + &stage.server.audit() + &database(&stage);
        for (at, _) in all.match_indices("password ") {
            let said = &all[at..];
            let shown = said.starts_with("password ****") || !said.contains(" key ");
            assert!(shown, "{:.200}", said);
        }
        all
    };

    let sentence = role("failure").refused(502);
    assert_eq!(sentence, format!("upstream refused {masked} (bad_login)"));
    let sentence = role("panic").refused(502);
    assert!(sentence.ends_with("(trap)"), "{sentence}");
    assert!(told().contains(&format!("lost {masked}")));
    assert_eq!(note(&role("log").ok()), "logged");
    let log = stage.server.log();
    assert!(log.contains(masked) && log.contains("again=****"), "{log}");
    let lease = role("metadata").ok().json();
    let shown = stage.server.lookup(lease["lease_id"].as_str().unwrap());
    assert_eq!(shown.data()["metadata"], json!({"said": masked}));
    told();
}

/// The rotation's record is scrubbed as well: it is kept, shown and tried again.
#[test]
fn a_new_root_that_a_rotation_derived_leaves_by_no_way() {
    let stage = Stage::start(Server::setup(), "", &[]);
    let config = json!({
        "root": "canary-root", "rotation": guest::DERIVED_ROOT, "rotation_period": "24h",
    });
    stage.server.http.post("bad/config", &config).ok();
    let says = "upstream refused the new root **** at once (bad_login)";
    let rotated = stage.server.http.post("bad/config/rotate-root", &json!({}));
    let sentence = rotated.clone().refused(rotated.status);
    assert!(sentence.contains(says), "{sentence}");
    stage.server.advance_clock(24 * 3600 + 1);
    eventually_true("the rotation that came by its time has failed", || {
        let config = stage.server.http.get("bad/config").data();
        let errors = [&config["last_error"], &config["rotation"]["last_error"]];
        let mut errors = errors.iter().filter_map(|error| error.as_str());
        errors.any(|error| error.contains(says))
    });
    let all = stage.server.log() + &stage.server.audit() + &database(&stage);
    let shown: Vec<_> = all.match_indices("the new root ").collect();
    assert!(!shown.is_empty());
    for (at, _) in shown {
        assert!(
            all[at..].starts_with("the new root **** at once"),
            "{:.80}",
            &all[at..]
        );
    }
}

/// The bytes of the database's files.
fn database(stage: &Stage) -> String {
    let files = std::fs::read_dir(stage.server.data()).unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.contains(".db")
    });
    let texts = files.map(|file| std::fs::read(file).unwrap());
    let texts: Vec<_> = texts
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    assert!(!texts.is_empty(), "there is a database");
    texts.concat()
}
