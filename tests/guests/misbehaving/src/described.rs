//! What the provider says of itself. `describe` is given nothing, so what it
//! does is chosen by a mark in its data, which the tests overwrite in a copy of
//! the component.

use std::hint::black_box;

use lessor_sdk::prelude::*;

use crate::acts::{
    describe_at_length, describe_for_ever, describe_with_a_key, describe_with_a_panic,
    describe_with_a_shadow, describe_with_an_identity, describe_with_entropy,
    describe_with_grants_in_words, describe_with_many_paths, describe_with_the_memo,
    describe_with_the_network,
};

/// The name of an act, after a text that stands nowhere else in the component,
/// and filled up with spaces.
static MARK: [u8; 64] = *b"misbehaving guest describes by: describe_with_entropy           ";

pub(crate) fn about() -> About {
    let mark = String::from_utf8_lossy(black_box(&MARK));
    let act = mark.rsplit(": ").next().unwrap_or_default().trim_end();
    let summary = match act {
        "describe_at_length" => describe_at_length::summary(),
        "describe_for_ever" => describe_for_ever::summary(),
        "describe_with_a_panic" => describe_with_a_panic::summary(),
        "describe_with_a_key" => describe_with_a_key::summary(),
        "describe_with_an_identity" => describe_with_an_identity::summary(),
        "describe_with_the_memo" => describe_with_the_memo::summary(),
        "describe_with_the_network" => describe_with_the_network::summary(),
        _ => describe_with_entropy::summary(),
    };
    let about = About::new("misbehaving", "0.1.0", summary)
        .needs(Purpose::Validate, ["principals:read", "roles:read"]);
    match act {
        "describe_with_a_shadow" => about.alias(describe_with_a_shadow::alias()),
        "describe_with_grants_in_words" => about.alias(describe_with_grants_in_words::alias()),
        "describe_with_many_paths" => describe_with_many_paths::aliases().fold(about, About::alias),
        _ => about,
    }
}
