//! Version 0.1, `lessor:provider`: what it lacks is derived from what it says.

use lessor_model::{
    clock::Timestamp,
    provider::{Call, Revocation, RevocationShape, RevokedCredential},
    secret::Secret,
};
use wasmtime::component::{HasSelf, InstancePre, Linker, Resource};

use self::bindings::{exports::lessor::provider as exports, lessor::provider as wit};
use super::{Answered, At, NotExported, Version, answer, malformed};
use crate::{call::CallState, connection::Connection, plugin_store::PluginError};

mod bindings;

/// Interfaces that the host offers.
pub(super) const OFFERED: [&str; 4] = ["types", "host", "crypto", "network"];

/// Links what the host lends.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wit::types::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::host::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::crypto::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::network::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
}

lend!();
speak!(Version::V0_1);

fn context(call: &Call) -> wit::types::Context {
    wit::types::Context {
        operation_id: call.operation.to_string(),
        attempt: call.attempt,
        mount: call.scope.known_as.clone(),
        role_name: call.role_name.as_ref().map(ToString::to_string),
        principal_name: call.principal_name.clone(),
        requester: call
            .requester
            .as_ref()
            .map(|requester| wit::types::Requester {
                display_name: requester.display_name.clone(),
                accessor: requester.accessor.clone(),
                metadata: requester.metadata.clone(),
            }),
        timeout_ms: u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX),
    }
}

impl From<wit::types::Descriptor> for answer::Descriptor {
    fn from(found: wit::types::Descriptor) -> Self {
        Self {
            name: found.name,
            version: found.version,
            summary: found.summary,
            config_schema: found.config_schema,
            role_schema: found.role_schema,
            request_schema: found.request_schema,
            credential_schema: found.credential_schema,
            endpoints: found.endpoints,
            name_limit: found.name_limit,
            // "Nothing upstream that needs `revoke`": it ends by itself, as what is signed.
            revocation: if found.leaves_state {
                RevocationShape::Deletes
            } else {
                RevocationShape::ExpiresOnly
            },
            privileges: Vec::new(),
            propagation_s: found.propagation_s,
            dialect: Vec::new(),
        }
    }
}

impl From<wit::types::Credential> for answer::Credential {
    fn from(found: wit::types::Credential) -> Self {
        Self {
            id: found.id,
            data: found.data,
            metadata: found.metadata,
            expires_in_s: found.expires_in_s,
            effective_in_s: None,
        }
    }
}
