//! From a route and an operation to the handler. One table, so that a reader
//! sees at a glance what there is; what is not in it is 404 or 405.

use super::{
    Outcome,
    ask::Ask,
    capabilities,
    error::ApiError,
    hold, leases, logins, metrics, mounted, mounts,
    operations::{self, Desk},
    plugins, policies,
    route::{Operation, Route},
    storage, tasks, tokens, wrapping,
};
use crate::{engine::Engine, secret::Secret};

/// Calls the handler of a path that needs a token.
pub(super) async fn answer(engine: &Engine, desk: &Desk, route: Route<'_>, ask: Ask) -> Outcome {
    use Operation::{Delete, List, Read, Write};

    match (route, ask.operation) {
        (Route::Catalog, Read | List) => plugins::catalog(engine).await,
        (Route::CatalogType { kind }, Read | List) => plugins::names(engine, kind).await,
        (Route::CatalogEntry { kind, name }, Read) => plugins::show(engine, kind, name, ask).await,
        (Route::CatalogEntry { kind, name }, Write) => {
            plugins::register(engine, kind, name, ask).await
        }
        (Route::CatalogEntry { kind, name }, Delete) => {
            plugins::remove(engine, kind, name, ask).await
        }
        (Route::Pins, Read) => plugins::pins(engine).await,
        (Route::Unpinned, Read) => plugins::unpinned(engine).await,
        (Route::InspectPlugin { file }, Read) => plugins::inspect(engine, file, ask).await,
        (Route::ReloadPlugins, Write) => plugins::reload(engine, ask).await,
        (Route::UpgradePlugin, Write) => plugins::upgrade(engine, ask).await,

        (Route::Mounts, Read) => mounts::list(engine).await,
        (Route::Mount { path }, Read) => mounts::show(engine, &path).await,
        (Route::Mount { path }, Write) => mounts::create(engine, &path, ask).await,
        (Route::Mount { path }, Delete) => mounts::remove(engine, &path, ask).await,
        (Route::MountTune { path }, Read) => mounts::show_tune(engine, &path).await,
        (Route::MountTune { path }, Write) => mounts::tune(engine, &path, ask).await,
        (Route::Remount, Write) => mounts::remount(engine, ask).await,
        (Route::RemountStatus { id }, Read) => mounts::remount_status(engine, id),
        (Route::UiMounts, Read) => mounts::list_for_ui(engine, &ask).await,
        (Route::UiMount { path }, Read) => mounts::show_for_path(engine, &path, &ask).await,

        (Route::LeaseLookup { prefix }, List) => leases::list(engine, &prefix).await,
        (Route::LeaseLookup { prefix }, Write) if prefix.is_empty() => {
            leases::lookup(engine, ask).await
        }
        (Route::LeaseRenew { id }, Write) => leases::renew(engine, id, ask).await,
        (Route::LeaseRevoke { id }, Write) => leases::revoke(engine, id, ask).await,
        (Route::LeaseRevokePrefix { prefix }, Write) => {
            leases::revoke_prefix(engine, &prefix, ask).await
        }
        (Route::LeaseRevokeForce { prefix }, Write) => {
            leases::revoke_force(engine, &prefix, ask).await
        }
        (Route::Leases, Read | List) => leases::ending(engine, ask).await,
        (Route::LeaseCount, Read) => leases::count(engine).await,
        (Route::LeaseTidy, Write) => leases::tidy(ask),
        (Route::Quarantine, Read) => leases::quarantine(engine).await,
        (Route::Quarantined { number }, Delete) => {
            ask.expect_no_fields()?;
            leases::forget(engine, number).await
        }
        (Route::Backup, Read) => storage::back_up(engine).await,
        (Route::Hold, Read) => hold::show(engine, ask).await,
        (Route::ReleaseHold, Write) => hold::release(engine, ask).await,
        (Route::Tasks, Read | List) => tasks::list(engine).await,
        (Route::Task { id }, Read) => tasks::show(engine, id, &ask).await,
        (Route::Task { id }, Delete) => {
            ask.expect_no_fields()?;
            tasks::cancel(engine, id).await
        }
        (Route::Metrics, Read) => metrics::show(engine, ask).await,
        (Route::HostInfo, Read) => operations::host_info(engine).await,
        (Route::InFlight, Read) => desk.in_flight(),
        (Route::HaStatus, Read) => desk.nodes(),
        (Route::Monitor, Read) => desk.monitor(ask),
        (Route::VersionHistory, List) => operations::versions(engine).await,
        (Route::Counter { what }, Read) => operations::counter(engine, what).await,
        (Route::ResultantAcl, Read) => Ok(capabilities::resultant(&ask.identity.acl)),

        (Route::Logins, Read) => logins::list(engine),
        (Route::Login { path }, Read) => logins::show(engine, &path),
        (Route::Login { path }, Write) => logins::enable(engine, &path, ask).await,
        (Route::Login { path }, Delete) => logins::disable(engine, &path, ask).await,
        (Route::LoginTune { path, .. }, Read) => logins::show_tune(engine, &path),
        (Route::LoginTune { path, .. }, Write) => logins::tune(engine, &path, ask).await,
        (Route::LockedUsers, Read) => logins::locked_users(engine, ask).await,
        (Route::UnlockUser { accessor, name }, Write) => {
            logins::unlock(engine, accessor, &name, ask).await
        }
        (Route::Auth { path }, _) => logins::answer(engine, &path, ask).await,

        (Route::TokenCreate { role }, Write) => tokens::create(engine, role, false, ask).await,
        (Route::TokenCreateOrphan, Write) => tokens::create(engine, None, true, ask).await,
        (Route::TokenLookup(which), Read | Write) => tokens::lookup(engine, which, ask).await,
        (Route::TokenRenew(which), Write) => tokens::renew(engine, which, ask).await,
        (Route::TokenRevoke(which), Write) => tokens::revoke(engine, which, ask).await,
        (Route::TokenRevokeOrphan, Write) => tokens::revoke_orphan(engine, ask).await,
        (Route::TokenAccessors, List | Read) => tokens::accessors(engine).await,
        (Route::TokenTidy, Write) => tokens::tidy(engine, ask).await,
        (Route::TokenRoles, List) => tokens::roles(engine).await,
        (Route::TokenRole { name }, Read) => tokens::show_role(engine, name).await,
        (Route::TokenRole { name }, Write) => tokens::write_role(engine, name, ask).await,
        (Route::TokenRole { name }, Delete) => {
            ask.expect_no_fields()?;
            tokens::remove_role(engine, name).await
        }

        (Route::WrappingWrap, Write) => wrapping::wrap_body(ask),
        (Route::WrappingUnwrap, Write) => wrapping::unwrap(engine, &wrapping_token(ask)?).await,
        (Route::WrappingRewrap, Write) => wrapping::rewrap(engine, &wrapping_token(ask)?).await,

        (Route::Policies, Read | List) => policies::list_legacy(engine, "").await,
        (Route::Policy { name }, List) => policies::list_legacy(engine, &name).await,
        (Route::Policy { name }, Read) => policies::show_legacy(engine, &name).await,
        (Route::Policy { name }, Write) => policies::write_legacy(engine, &name, ask).await,
        (Route::AclPolicies, Read | List) => policies::list(engine, "").await,
        (Route::AclPolicy { name }, List) => policies::list(engine, &name).await,
        (Route::AclPolicy { name }, Read) => policies::show(engine, &name).await,
        (Route::AclPolicy { name }, Write) => policies::write(engine, &name, ask).await,
        (Route::Policy { name } | Route::AclPolicy { name }, Delete) => {
            ask.expect_no_fields()?;
            policies::remove(engine, &name).await
        }
        (Route::Capabilities(which), Write) => capabilities::show(engine, which, ask).await,
        #[cfg(feature = "test-hooks")]
        (Route::TestClock, Write) => super::system::advance_clock(engine, ask),
        #[cfg(feature = "test-hooks")]
        (Route::TestStorage, Write) => super::storage::fail(engine, ask).await,

        (Route::Unknown, _) => Err(ApiError::nothing_here()),
        (Route::Mounted { path }, _) => mounted::answer(engine, &path, ask).await,
        _ => Err(ApiError::wrong_method()),
    }
}

/// The token of a request about a wrapped answer.
fn wrapping_token(mut ask: Ask) -> Result<Secret<String>, ApiError> {
    let fields = ask.take_fields();
    Ok(wrapping::named(fields, ask.token.as_ref())?.token)
}
