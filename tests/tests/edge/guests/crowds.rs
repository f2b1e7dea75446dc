//! Components that take much of the pool with each call, and mounts that hang: others are
//! served all the same, and a call that waits in vain is refused with the reason.

use std::{fs, net::TcpListener, thread};

use lessor_tests::{server::Server, wait::eventually_true};
use serde_json::json;

use super::{
    guest,
    stage::{Stage, metric},
    upstream::Upstream,
};

/// The component with so many instances of one more core module.
fn with(component: &[u8], module: &str, instances: u8) -> Vec<u8> {
    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCE: u8 = 2;
    const HEADER: usize = 8;
    let module = wat::parse_str(module).expect("the guest is a core module");
    let mut index = 0;
    let mut at = HEADER;
    while let Some(id) = component.get(at) {
        let (length, size) = leb(&component[at + 1..]);
        index += usize::from(*id == CORE_MODULE);
        at += 1 + size + length;
    }
    let mut instance = vec![0];
    instance.extend(encoded(index));
    instance.push(0);
    let mut all = encoded(usize::from(instances));
    all.extend(instance.repeat(usize::from(instances)));
    let mut bytes = component.to_vec();
    for (id, content) in [(CORE_MODULE, module), (CORE_INSTANCE, all)] {
        bytes.push(id);
        bytes.extend(encoded(content.len()));
        bytes.extend(content);
    }
    bytes
}

/// A number of the binary format, and how many bytes it has.
fn leb(bytes: &[u8]) -> (usize, usize) {
    let size = 1 + bytes.iter().take_while(|byte| **byte >= 0x80).count();
    let digits = bytes[..size].iter().rev();
    let number = digits.fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    (number, size)
}

fn encoded(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[test]
fn a_component_that_takes_much_of_the_pool_leaves_the_other_mounts_their_share() {
    let upstream = Upstream::lines(TcpListener::bind("127.0.0.1:0").unwrap());
    let setup = Server::setup();
    let stage = Stage::start_with(setup, "calls = 64\nplugin_calls = 32", &[]);
    let plain = fs::read(stage.server.plugins().join("misbehaving.wasm")).unwrap();
    let heavy = [
        // 60 beside its own 4.
        (
            guest::MANY_INSTANCES,
            include_str!("../../../guests/many_instances.wat"),
            60,
            "",
        ),
        (
            guest::MANY_MEMORIES,
            include_str!("../../../guests/many_memories.wat"),
            7,
            "as it may: 4, and each takes 8 of 32 slots, one mount at most half of those",
        ),
        (
            guest::MANY_TABLES,
            include_str!("../../../guests/many_tables.wat"),
            30,
            "as it may: 2, and each takes 16 of 32 slots, one mount at most half of those",
        ),
    ];
    let silent = json!({
        "act": guest::SILENT_UPSTREAM, "target": "127.0.0.1", "number": upstream.port(),
    });
    for (name, module, instances, says) in heavy {
        let file = format!("{name}.wasm");
        fs::write(
            stage.server.plugins().join(&file),
            with(&plain, module, instances),
        )
        .unwrap();
        let plugin = name.replace('_', "-");
        let digest = stage.server.digest(&file);
        stage.server.pin(&plugin, &file, &digest).ok();
        stage.mount(&plugin, &plugin, &[upstream.grant("tcp")]);
        stage.role(&plugin, "hang", &silent);
        let tune = json!({"timeout": "3s"});
        stage
            .server
            .http
            .post(&format!("sys/mounts/{plugin}/tune"), &tune)
            .ok();
        let sentences: Vec<String> = thread::scope(|scope| {
            let hanging: Vec<_> = (0..40)
                .map(|_| scope.spawn(|| stage.create(&plugin, "hang").refused(502)))
                .collect();
            let least = if says.is_empty() { 16 } else { 1 };
            eventually_true("calls hang", || upstream.open() >= least);
            // Calls of other plugins, and of other mounts of this one.
            stage.good_call().unwrap();
            let metrics = stage.metrics();
            let taken = metric(&metrics, "lessor_provider_slots_taken");
            assert!(taken <= 32, "{name} took {taken} slots");
            let ends = hanging.into_iter().map(|call| call.join().unwrap());
            ends.collect()
        });
        for sentence in &sentences {
            let waited = sentence.ends_with("(limit_plugin_calls)") && sentence.contains(says);
            // Calls whose turn came late may have just begun.
            let ran = ["(timeout)", "(limit_cpu)"]
                .iter()
                .any(|code| sentence.ends_with(code));
            assert!(waited || ran, "{sentence}");
        }
        assert!(
            sentences
                .iter()
                .any(|sentence| sentence.ends_with("(timeout)"))
        );
        eventually_true("nothing hangs", || upstream.open() == 0);
        eventually_true("all slots are free", || {
            metric(&stage.metrics(), "lessor_provider_slots_taken") == 0
        });
    }
    stage.good_call().unwrap();
}
