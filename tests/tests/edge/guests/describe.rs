//! Guests that misbehave where they describe themselves, or before: nobody has
//! granted or told them anything yet, and they are not pinned.

use std::fs;

use super::{
    guest,
    stage::{ROUNDS, Stage, WARM_UP, audited},
};
use lessor_tests::server::Server;

/// The mark before the name of the act in the data of the component.
const MARK: &[u8] = b"misbehaving guest describes by: ";

/// Bytes of the mark and the name together.
const MARKED: usize = 64;

/// The component with another act in its mark.
fn describing(component: &[u8], act: &str) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let at = bytes
        .windows(MARK.len())
        .position(|window| window == MARK)
        .expect("the guest has its mark");
    let name = &mut bytes[at + MARK.len()..at + MARKED];
    name.fill(b' ');
    name[..act.len()].copy_from_slice(act.as_bytes());
    bytes
}

#[test]
fn a_provider_that_misbehaves_while_it_describes_itself_is_not_pinned() {
    let mut stage = Stage::start(Server::setup(), "describe = 1", &[]);
    let server = &stage.server;
    let plugins = server.plugins();
    let component = fs::read(plugins.join("misbehaving.wasm")).unwrap();
    let pins = || server.http.get("sys/plugins/pins").data();
    let before = pins();
    let pin = |act: &str| {
        let file = format!("{act}.wasm");
        server.pin(act, &file, &server.digest(&file))
    };
    let nothing_lent = "describe has no network, no keys and no secrets";
    #[rustfmt::skip]
    let family = [
        (guest::DESCRIBE_FOR_EVER, "limit_describe", "within 1 s (setting `sandbox.describe`)", ""),
        (guest::DESCRIBE_AT_LENGTH, "limit_output", "1048576 bytes (setting `sandbox.output`)", ""),
        (guest::DESCRIBE_WITH_A_PANIC, "trap", "crashed", "nothing to say of itself"),
        (guest::DESCRIBE_WITH_A_KEY, "trap", nothing_lent, ""),
        (guest::DESCRIBE_WITH_AN_IDENTITY, "trap", nothing_lent, ""),
        (guest::DESCRIBE_WITH_THE_MEMO, "trap", nothing_lent, ""),
        (guest::DESCRIBE_WITH_THE_NETWORK, "trap", nothing_lent, ""),
    ];
    for (act, code, says, logged) in family {
        let file = format!("{act}.wasm");
        fs::write(plugins.join(&file), describing(&component, act)).unwrap();
        let told = (server.audit().len(), server.log().len());
        let answer = pin(act);
        let sentence = answer.clone().refused(400);
        assert!(sentence.contains(&file), "{sentence}");
        assert!(sentence.contains(says), "{sentence}");
        assert!(sentence.ends_with(&format!("({code})")), "{sentence}");
        let path = format!("sys/plugins/catalog/secret/{act}");
        let request = audited(&server.audit()[told.0..], &path).unwrap();
        assert_eq!(request["status"], 400);
        assert_eq!(request["response"]["errors"], answer.json()["errors"]);
        assert!(server.log()[told.1..].contains(logged), "{act}");
        stage.good_call().unwrap();
    }
    for (act, says) in [
        (
            guest::DESCRIBE_WITH_A_SHADOW,
            "the host serves itself, and not for issue",
        ),
        (
            guest::DESCRIBE_WITH_GRANTS_IN_WORDS,
            "takes lease for allowed_hosts, which is no field of write-ttls",
        ),
        (
            guest::DESCRIBE_WITH_MANY_PATHS,
            "dialect has more than 128 paths",
        ),
    ] {
        let file = format!("{act}.wasm");
        fs::write(plugins.join(&file), describing(&component, act)).unwrap();
        let sentence = pin(act).refused(400);
        assert!(sentence.contains(says), "{sentence}");
        assert!(
            sentence.contains("describes itself wrongly: dialect has "),
            "{sentence}"
        );
        stage.good_call().unwrap();
    }
    for (guest, text, code, says) in [
        (
            guest::DECLARED_MEMORY,
            include_str!("../../../guests/declared_memory.wat"),
            "limit_memory",
            "67108864 bytes of memory (setting `sandbox.memory`)",
        ),
        (
            guest::DECLARED_TABLE,
            include_str!("../../../guests/declared_table.wat"),
            "limit_table",
            "20000 elements (setting `sandbox.table`)",
        ),
    ] {
        let file = format!("{guest}.wasm");
        fs::write(plugins.join(&file), wat::parse_str(text).unwrap()).unwrap();
        let sentence = pin(guest).refused(400);
        assert!(sentence.contains(&file), "{sentence}");
        assert!(sentence.contains(says), "{sentence}");
        assert!(sentence.ends_with(&format!("({code})")), "{sentence}");
        stage.good_call().unwrap();
    }
    let cheap = || {
        let traps = family.iter().filter(|(_, code, ..)| *code == "trap");
        traps.for_each(|(act, ..)| drop(pin(act).refused(400)));
    };
    (0..WARM_UP).for_each(|_| cheap());
    let at_rest = stage.rest();
    pin(guest::DESCRIBE_FOR_EVER).refused(400);
    (0..ROUNDS).for_each(|_| cheap());
    stage.is_at_rest(at_rest);
    stage.good_call().unwrap();
    assert_eq!(pins(), before, "a refusal changed the pins");

    // Without entropy and time, the guest describes itself in the same way at every load.
    let summary = |stage: &Stage| {
        let shown = stage
            .server
            .http
            .get("sys/plugins/catalog/secret/misbehaving");
        let descriptor = shown.data()["descriptor"].take();
        descriptor["summary"].as_str().unwrap().to_owned()
    };
    assert!(describing(&component, guest::DESCRIBE_WITH_ENTROPY) == component);
    let first = summary(&stage);
    assert!(first.ends_with("at 0."), "{first}");
    stage.server.kill();
    stage.server.restart();
    assert_eq!(summary(&stage), first);
}
