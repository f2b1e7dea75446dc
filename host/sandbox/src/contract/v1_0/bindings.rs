//! What `bindgen!` makes of `wit/v1`.
//!
//! The full world is bound, so that one set of types serves every provider; a
//! component needs to export `provider` alone, and the optional interfaces are
//! looked up one by one.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code; its unsafe is wasmtime's own, for typed calls"
)]

wasmtime::component::bindgen!({
    path: "../../wit/v1",
    world: "lessor:plugin/provider-plugin-full",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "lessor:plugin/network.connection": crate::connection::Connection,
    },
});
