//! The misdeeds, one to a file. The name of the file is the role's `act`; those
//! that begin with `describe_` are done where the provider describes itself.

mod already_expired;
mod answer_after_the_deadline;
mod connection_never_closed;
mod credential_that_is_no_object;
mod deep_json;
mod deep_recursion;
mod derive_too_much;
mod derive_too_often;
pub(crate) mod derived_root;
mod derived_secret;
pub(crate) mod describe_at_length;
pub(crate) mod describe_for_ever;
pub(crate) mod describe_with_a_key;
pub(crate) mod describe_with_a_panic;
pub(crate) mod describe_with_a_shadow;
pub(crate) mod describe_with_an_identity;
pub(crate) mod describe_with_entropy;
pub(crate) mod describe_with_grants_in_words;
pub(crate) mod describe_with_many_paths;
pub(crate) mod describe_with_the_memo;
pub(crate) mod describe_with_the_network;
mod dns_lookup;
mod dns_rebinding;
mod empty_id;
mod endless_loop;
mod environment_read;
mod exit;
mod file_read;
mod file_write;
mod forbidden_host;
mod forbidden_port;
mod forbidden_scheme;
mod forged_code;
mod forged_handle;
mod huge_string;
mod id_with_control_characters;
mod identity_elsewhere;
mod identity_in_the_log;
mod identity_too_often;
mod interim_responses;
mod invalid_json;
mod invalid_utf8;
mod iterate_for_ever;
mod line_flood;
mod link_local_address;
mod listen;
mod log_flood;
mod long_answer;
mod long_failure;
mod long_head;
mod long_headers;
mod long_id;
mod long_log_event;
mod long_metadata;
mod long_methods;
mod long_response;
mod loopback_by_name;
mod loopback_in_decimal;
mod loopback_mapped_into_ipv6;
mod malformed_key;
mod many_secrets;
pub(crate) mod memo_flood;
mod memo_in_the_failure;
mod memo_in_the_id;
mod memo_in_the_log;
mod memo_of_another_mount;
mod memory_bomb;
pub(crate) mod million_element_list;
mod million_fields;
mod park_an_unfinished_connection;
mod poll_one_thing_often;
mod property_missing;
mod property_of_the_wrong_type;
mod raw_socket;
mod redirect_to_a_forbidden_host;
mod root_in_the_id;
mod secret_as_base64;
mod secret_as_base64_url;
mod secret_as_hex;
mod secret_as_url;
mod secret_cut_by_the_cap;
mod secret_in_a_panic;
mod secret_in_metadata;
mod secret_in_the_failure;
mod secret_in_the_id;
mod secret_in_the_log;
mod secret_on_standard_output;
mod silent_upstream;
mod sleep_for_ever;
mod stack_bomb;
mod static_state;
mod stdout_flood;
mod thousand_connections;
mod thousand_requests;
mod trap_in_create;
mod udp;
mod unpark_of_another_mount;
mod unread_responses;
mod unsent_bodies;
mod unused_pollables;
mod verify_at_length;
mod write_to_a_deaf_upstream;

use crate::scene::Act;

/// The `act` of each module, by the module's name.
macro_rules! acts {
    ($($name:ident),* $(,)?) => {
        /// The act of this name, if there is one.
        pub(crate) fn named(name: &str) -> Option<Act> {
            match name {
                $(stringify!($name) => Some($name::act),)*
                _ => None,
            }
        }
    };
}

acts![
    already_expired,
    answer_after_the_deadline,
    connection_never_closed,
    credential_that_is_no_object,
    deep_json,
    deep_recursion,
    derive_too_much,
    derive_too_often,
    derived_secret,
    dns_lookup,
    dns_rebinding,
    empty_id,
    endless_loop,
    environment_read,
    exit,
    file_read,
    file_write,
    forbidden_host,
    forbidden_port,
    forbidden_scheme,
    forged_code,
    forged_handle,
    huge_string,
    identity_elsewhere,
    identity_in_the_log,
    identity_too_often,
    id_with_control_characters,
    interim_responses,
    invalid_json,
    invalid_utf8,
    iterate_for_ever,
    line_flood,
    link_local_address,
    listen,
    log_flood,
    long_answer,
    long_failure,
    long_head,
    long_headers,
    long_id,
    long_log_event,
    long_metadata,
    long_methods,
    long_response,
    loopback_by_name,
    loopback_in_decimal,
    loopback_mapped_into_ipv6,
    malformed_key,
    many_secrets,
    memo_flood,
    memo_in_the_failure,
    memo_in_the_id,
    memo_in_the_log,
    memo_of_another_mount,
    memory_bomb,
    million_fields,
    park_an_unfinished_connection,
    poll_one_thing_often,
    property_missing,
    property_of_the_wrong_type,
    raw_socket,
    redirect_to_a_forbidden_host,
    root_in_the_id,
    secret_as_base64,
    secret_as_base64_url,
    secret_as_hex,
    secret_as_url,
    secret_cut_by_the_cap,
    secret_in_a_panic,
    secret_in_metadata,
    secret_in_the_failure,
    secret_in_the_id,
    secret_in_the_log,
    secret_on_standard_output,
    silent_upstream,
    sleep_for_ever,
    stack_bomb,
    static_state,
    stdout_flood,
    thousand_connections,
    thousand_requests,
    trap_in_create,
    udp,
    unpark_of_another_mount,
    unread_responses,
    unsent_bodies,
    unused_pollables,
    verify_at_length,
    write_to_a_deaf_upstream,
];
