//! Templates of names, and the names that they give.
//!
//! Input, a line each: the template; the mount; the role; the requester; the
//! limit.

use lessor_model::{
    id::OperationId,
    principal::{self, Parts, RANDOM_LENGTH, RANDOM_MINIMUM, name},
};

use crate::{
    target::Target,
    text::{assert_sentence, text},
};

/// The target.
pub(super) const TARGET: Target = Target {
    name: "names",
    words: &[
        "\n",
        "{random}",
        "{random:10}",
        "{random:9}",
        "{mount}",
        "{mount:8}",
        "{role}",
        "{requester}",
        "{",
        "}",
        ":",
        "-",
        "_",
        "99",
        "+1",
        "0",
        "a",
        "A",
        "/",
        "\u{e4}",
        " ",
        "63",
        "10",
        "16",
        "4294967295",
    ],
    endings: &["refused", "named"],
    cases: 1_000,
    check,
};

#[test]
fn names_fit_their_limit_and_no_two_are_the_same() {
    TARGET.replay();
}

fn check(input: &[u8]) -> &'static str {
    let input = text(input);
    let mut lines = input.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (template, mount, role, requester) = (next(), next(), next(), next());
    let limit: u32 = next().parse().unwrap_or(0);
    let of = |operation: u128| {
        let parts = Parts {
            mount,
            role,
            requester,
            operation: OperationId::from_bytes(operation.to_be_bytes()),
        };
        name(template, parts, limit)
    };
    if let Err(sentence) = principal::check(template) {
        assert_sentence(&sentence, 400);
        return "refused";
    }
    let first = of(0).unwrap();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    assert!(first.bytes().all(plain), "{first:?}");
    assert!(limit == 0 || first.len() <= limit as usize, "{first:?}");
    // Each random character that shows makes a name different.
    let shows = |place: &usize| of(1 << (5 * place)).unwrap() != first;
    let showing = (0..RANDOM_LENGTH).filter(shows).count();
    let wanted = match limit as usize {
        0 => RANDOM_MINIMUM,
        limit => RANDOM_MINIMUM.min(limit),
    };
    assert!(
        showing >= wanted,
        "{first:?} shows {showing} random characters"
    );
    "named"
}
