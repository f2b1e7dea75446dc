//! Version 1.0, `lessor:plugin`.

use std::time::Duration;

use lessor_model::{
    clock::Timestamp,
    dialect::{Draft, DraftWord, Method},
    provider::{
        Call, IdentityError, Privilege, Revocation, RevocationShape, RevokedCredential, Trigger,
    },
    secret::Secret,
};
use wasmtime::component::{HasSelf, InstancePre, Linker, Resource};

use self::bindings::{exports::lessor::plugin as exports, lessor::plugin as wit};
use super::{Answered, At, NotExported, Version, answer, malformed};
use crate::{
    call::CallState, connection::Connection, memo::Sensitivity, plugin_store::PluginError,
};

mod bindings;

/// Interfaces that the host offers.
pub(super) const OFFERED: [&str; 7] = [
    "types", "host", "crypto", "network", "memo", "identity", "occasion",
];

/// Links what the host lends.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wit::types::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::host::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::crypto::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::network::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::memo::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::identity::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    wit::occasion::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
}

lend!();
speak!(Version::V1_0);

impl wit::memo::Host for CallState {
    async fn recall(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        CallState::recall(self, &key)
    }

    async fn remember(
        &mut self,
        key: String,
        value: Vec<u8>,
        sensitivity: wit::memo::Sensitivity,
        ttl_s: u32,
    ) -> wasmtime::Result<()> {
        let ttl = Duration::from_secs(ttl_s.into());
        self.remember_for(key, value, sensitivity.into(), ttl)
    }

    async fn forget(&mut self, key: String) -> wasmtime::Result<()> {
        CallState::forget(self, &key)
    }
}

same_cases!(wit::memo::Sensitivity => Sensitivity { Secret, Open });

impl wit::identity::Host for CallState {
    async fn token(
        &mut self,
        audience: String,
    ) -> wasmtime::Result<Result<String, wit::identity::Error>> {
        let signed = self.identify(&audience).await?;
        Ok(signed.map_err(|error| match error {
            IdentityError::NotConfigured(says) => wit::identity::Error::NotConfigured(says),
            IdentityError::NotAllowed(says) => wit::identity::Error::AudienceNotAllowed(says),
            IdentityError::Unavailable => wit::identity::Error::Unavailable,
        }))
    }
}

impl wit::occasion::Host for CallState {
    async fn why(&mut self) -> wasmtime::Result<wit::occasion::Trigger> {
        Ok(self.told()?.trigger.into())
    }

    async fn who(&mut self) -> wasmtime::Result<Option<wit::occasion::Caller>> {
        let requester = self.told()?.requester.as_ref();
        Ok(requester.map(|requester| wit::occasion::Caller {
            entity: requester.entity.clone(),
            display_name: requester.display_name.clone(),
            accessor: requester.accessor.clone(),
            claims: requester.claims(),
        }))
    }
}

same_cases!(Trigger => wit::occasion::Trigger {
    Request, Configuration, Schedule, Expiry, Operator, Cascade, Recovery,
});

fn context(call: &Call) -> wit::types::Context {
    wit::types::Context {
        operation_id: call.operation.to_string(),
        attempt: call.attempt,
        mount: call.scope.known_as.clone(),
        role_name: call.role_name.as_ref().map(ToString::to_string),
        principal_name: call.principal_name.clone(),
        timeout_ms: u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX),
    }
}

same_cases!(wit::types::RevocationShape => RevocationShape { Deletes, ExpiresOnly, None });

impl From<wit::types::Privilege> for Privilege {
    fn from(found: wit::types::Privilege) -> Self {
        Self {
            purpose: found.purpose,
            names: found.names,
        }
    }
}

same_cases!(wit::types::Method => Method { Get, List, Post, Delete });

impl From<wit::types::Alias> for Draft {
    fn from(found: wit::types::Alias) -> Self {
        let words = |words: Vec<wit::types::Word>| words.into_iter().map(Into::into).collect();
        Self {
            path: found.path,
            methods: found.methods.into_iter().map(Into::into).collect(),
            stands_for: found.stands_for,
            summary: found.summary,
            takes: words(found.takes),
            gives: words(found.gives),
            sets: found.sets,
            tells: found.tells,
        }
    }
}

impl From<wit::types::Word> for DraftWord {
    fn from(found: wit::types::Word) -> Self {
        Self {
            name: found.name,
            stands_for: found.stands_for,
            form: found.form,
        }
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
            revocation: found.revocation.into(),
            privileges: found.privileges.into_iter().map(Into::into).collect(),
            propagation_s: found.propagation_s,
            dialect: found.dialect.into_iter().map(Into::into).collect(),
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
            effective_in_s: found.effective_in_s,
        }
    }
}
