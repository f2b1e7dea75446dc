//! The generated bindings. Each optional interface is a world of its own, so
//! that a component declares only what it exports; types are shared.
#![allow(unsafe_code, reason = "generated: the component ABI passes pointers")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "generated"
)]

pub mod base {
    wit_bindgen::generate!({
        path: "../wit",
        world: "provider-plugin",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_lessor_provider",
        default_bindings_module: "lessor_sdk::export::base",
    });
}

pub mod renewal {
    wit_bindgen::generate!({
        inline: "package lessor:sdk-renewal; world renewal-only { export lessor:provider/renewal@0.1.0; }",
        path: "../wit",
        with: { "lessor:provider/types@0.1.0": super::base::lessor::provider::types },
        pub_export_macro: true,
        export_macro_name: "__export_lessor_renewal",
        default_bindings_module: "lessor_sdk::export::renewal",
    });
}

pub mod inventory {
    wit_bindgen::generate!({
        inline: "package lessor:sdk-inventory; world inventory-only { export lessor:provider/inventory@0.1.0; }",
        path: "../wit",
        with: { "lessor:provider/types@0.1.0": super::base::lessor::provider::types },
        pub_export_macro: true,
        export_macro_name: "__export_lessor_inventory",
        default_bindings_module: "lessor_sdk::export::inventory",
    });
}

pub mod publication {
    wit_bindgen::generate!({
        inline: "package lessor:sdk-publication; world publication-only { export lessor:provider/publication@0.1.0; }",
        path: "../wit",
        with: { "lessor:provider/types@0.1.0": super::base::lessor::provider::types },
        pub_export_macro: true,
        export_macro_name: "__export_lessor_publication",
        default_bindings_module: "lessor_sdk::export::publication",
    });
}
