//! What `export_provider!` expands to. Not for authors: its names may change
//! with any version.

pub(crate) mod edge;
#[cfg(target_arch = "wasm32")]
mod guest;
mod schema;

#[cfg(target_arch = "wasm32")]
pub use crate::host::bindings::{base, inventory, publication, renewal};
#[cfg(target_arch = "wasm32")]
pub use guest::Exported;

/// Makes a provider the component's export, with the optional traits listed:
///
/// ```text
/// export_provider!(MyProvider);
/// export_provider!(MyProvider: Renewal, Inventory, Publication);
/// ```
///
/// Natively it only checks that the traits are implemented, so that the same
/// crate can be tested by `lessor_sdk::testing`.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty $(: $($option:ident),* $(,)?)?) => {
        const _: () = {
            #[cfg(target_arch = "wasm32")]
            type Exported = $crate::export::Exported<$provider>;
            $crate::__export_one!($provider, Provider);
            $($($crate::__export_one!($provider, $option);)*)?
        };
    };
}

/// One exported interface of a component.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_one {
    ($provider:ty, Provider) => {
        $crate::export::base::__export_lessor_provider!(Exported with_types_in $crate::export::base);
    };
    ($provider:ty, Renewal) => {
        $crate::export::renewal::__export_lessor_renewal!(Exported with_types_in $crate::export::renewal);
    };
    ($provider:ty, Inventory) => {
        $crate::export::inventory::__export_lessor_inventory!(Exported with_types_in $crate::export::inventory);
    };
    ($provider:ty, Publication) => {
        $crate::export::publication::__export_lessor_publication!(Exported with_types_in $crate::export::publication);
    };
    ($provider:ty, $other:ident) => {
        compile_error!(concat!(
            "export_provider! knows Renewal, Inventory and Publication, not ",
            stringify!($other)
        ));
    };
}

/// Natively: the trait is there.
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_one {
    ($provider:ty, $option:ident) => {
        const _: () = {
            const fn implemented<P: $crate::$option>() {}
            implemented::<$provider>()
        };
    };
}
