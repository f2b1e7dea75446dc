//! Guests that compute, wait, nest or take without end, and those that ask the
//! host to do it for them.

use std::thread;

use lessor_tests::server::Server;

use super::{
    guest,
    row::row,
    stage::{Stage, note},
};

#[test]
fn what_takes_too_much_is_stopped_by_the_name_of_the_limit() {
    let stage = Stage::start(Server::setup(), "", &[]);
    stage.mount_table_bomb();

    let of_the_mount = "(setting `timeout` of the mount)";
    #[rustfmt::skip]
    stage.play(&[
        row(guest::ENDLESS_LOOP).fails("limit_cpu", &["timeout of 1 s", of_the_mount]).costly(),
        row(guest::SLEEP_FOR_EVER).fails("timeout", &["timeout of 1 s", of_the_mount]).costly(),
        row(guest::MEMORY_BOMB).fails("limit_memory", &["67108864 bytes", "(setting `sandbox.memory`)"]).costly(),
        row(guest::TABLE_BOMB).on("table").fails("limit_table", &["20000 elements", "(setting `sandbox.table`)"]),
        row(guest::STACK_BOMB).fails("limit_stack", &["524288 bytes", "(setting `sandbox.stack`)"]),
        // Rust's own stack is part of the guest's memory, and its overflow runs out of that
        // memory.
        row(guest::DEEP_RECURSION).fails("trap", &["crashed", "out of bounds memory access"]),
        row(guest::DERIVE_TOO_MUCH).fails("trap", &["at most 1024"]),
        row(guest::DERIVE_TOO_OFTEN).fails("trap", &["more than 64 different secrets"]),
        row(guest::ITERATE_FOR_EVER).fails("trap", &["4294967295 iterations"]),
        row(guest::MALFORMED_KEY).notes(&["Some(MalformedKey), Some(TooLarge)"]),
        row(guest::STATIC_STATE).notes(&["calls before: 0"]),
    ]);

    // As many guests compute as there are threads; other calls still have their turn.
    thread::scope(|scope| {
        let loops = [(); 2].map(|()| scope.spawn(|| stage.create("bad", guest::ENDLESS_LOOP)));
        let mut served = 0;
        while loops.iter().any(|computing| !computing.is_finished()) {
            stage.good_call().unwrap();
            served += 1;
        }
        for computing in loops {
            let sentence = computing.join().unwrap().refused(502);
            assert!(sentence.ends_with("(limit_cpu)"), "{sentence}");
        }
        assert!(served > 2, "{served} calls were served meanwhile");
    });
    assert_eq!(note(&stage.create("good", "well")), "behaved");
}
