//! The code that the versions of the contract share, written once: each expands it with `wit`, the
//! types and imports of its own bindings, and `exports`.
//!
//! An inherent function of [`CallState`](crate::call::CallState) is what a trait's function
//! of the same name calls: the traits are the bindings', one for each version.

/// One kind of value as another that has the same cases.
macro_rules! same_cases {
    ($from:ty => $to:ty { $($case:ident),* $(,)? }) => {
        impl From<$from> for $to {
            fn from(found: $from) -> Self {
                type Found = $from;
                match found {
                    $(Found::$case => Self::$case,)*
                }
            }
        }
    };
}

/// Lends what the host lends: log, derivation, cryptography, byte streams.
macro_rules! lend {
    () => {
        impl wit::types::Host for CallState {}

        impl wit::host::Host for CallState {
            async fn log(
                &mut self,
                level: wit::host::Level,
                message: String,
                fields: Vec<(String, String)>,
            ) -> wasmtime::Result<()> {
                self.journal.log(level.into(), message, fields);
                Ok(())
            }

            async fn derive(&mut self, label: String, length: u32) -> wasmtime::Result<Vec<u8>> {
                CallState::derive(self, label, length).await
            }
        }

        impl wit::crypto::Host for CallState {
            async fn generate_key(
                &mut self,
                algorithm: wit::crypto::KeyAlgorithm,
            ) -> wasmtime::Result<Result<wit::crypto::KeyPair, wit::crypto::Error>> {
                let made = CallState::generate_key(self, algorithm.into()).await?;
                Ok(made.map_err(Into::into).map(|pair| wit::crypto::KeyPair {
                    private_key: pair.private_key,
                    public_key: pair.public_key,
                }))
            }

            async fn sign(
                &mut self,
                private_key: Vec<u8>,
                algorithm: wit::crypto::SignatureAlgorithm,
                message: Vec<u8>,
            ) -> wasmtime::Result<Result<Vec<u8>, wit::crypto::Error>> {
                let signed = CallState::sign(self, private_key, algorithm.into(), message).await?;
                Ok(signed.map_err(Into::into))
            }

            async fn verify(
                &mut self,
                public_key: Vec<u8>,
                algorithm: wit::crypto::SignatureAlgorithm,
                message: Vec<u8>,
                signature: Vec<u8>,
            ) -> wasmtime::Result<Result<bool, wit::crypto::Error>> {
                let algorithm = algorithm.into();
                let verified = CallState::verify(self, public_key, algorithm, message, signature);
                Ok(verified.await?.map_err(Into::into))
            }

            async fn pbkdf2_sha256(
                &mut self,
                password: Vec<u8>,
                salt: Vec<u8>,
                iterations: u32,
            ) -> wasmtime::Result<Vec<u8>> {
                CallState::pbkdf2_sha256(self, password, salt, iterations).await
            }
        }

        impl wit::network::Host for CallState {}

        impl wit::network::HostConnection for CallState {
            async fn connect(
                &mut self,
                host: String,
                port: u16,
            ) -> wasmtime::Result<Result<Resource<Connection>, wit::network::Error>> {
                let connected = CallState::connect(self, host, port).await?;
                Ok(connected.map_err(Into::into))
            }

            async fn start_tls(
                &mut self,
                this: Resource<Connection>,
                server_name: Option<String>,
            ) -> wasmtime::Result<Result<(), wit::network::Error>> {
                let secured = CallState::start_tls(self, this, server_name).await?;
                Ok(secured.map_err(Into::into))
            }

            async fn peer_certificate(
                &mut self,
                this: Resource<Connection>,
            ) -> wasmtime::Result<Option<Vec<u8>>> {
                CallState::peer_certificate(self, &this)
            }

            async fn read(
                &mut self,
                this: Resource<Connection>,
                limit: u32,
            ) -> wasmtime::Result<Result<Vec<u8>, wit::network::Error>> {
                let read = CallState::read(self, this, limit).await?;
                Ok(read.map_err(Into::into))
            }

            async fn write(
                &mut self,
                this: Resource<Connection>,
                bytes: Vec<u8>,
            ) -> wasmtime::Result<Result<(), wit::network::Error>> {
                let written = CallState::write(self, this, bytes).await?;
                Ok(written.map_err(Into::into))
            }

            async fn unpark(
                &mut self,
                key: String,
            ) -> wasmtime::Result<Option<Resource<Connection>>> {
                CallState::unpark(self, key)
            }

            async fn park(
                &mut self,
                connection: Resource<Connection>,
                key: String,
            ) -> wasmtime::Result<()> {
                CallState::park(self, connection, key)
            }

            async fn drop(&mut self, this: Resource<Connection>) -> wasmtime::Result<()> {
                self.table.delete(this)?;
                Ok(())
            }
        }

        same_cases!(wit::host::Level => crate::journal::Level { Trace, Debug, Info, Warn, Error });
        same_cases!(wit::crypto::KeyAlgorithm => crate::crypto::KeyAlgorithm {
            Ed25519, EcdsaP256, EcdsaP384, Rsa2048, Rsa3072, Rsa4096,
        });
        same_cases!(wit::crypto::SignatureAlgorithm => crate::crypto::SignatureAlgorithm {
            Ed25519, EcdsaP256Sha256, EcdsaP384Sha384, RsaPkcs1Sha256, RsaPkcs1Sha512,
            RsaPssSha256, EcdsaP384Sha256, RsaPkcs1Sha384,
        });
        same_cases!(crate::crypto::Error => wit::crypto::Error {
            Unsupported, MalformedKey, TooLarge,
        });

        impl From<crate::network::Error> for wit::network::Error {
            fn from(error: crate::network::Error) -> Self {
                use crate::network::Error;
                match error {
                    Error::Denied(sentence) => Self::Denied(sentence),
                    Error::Unresolved => Self::Unresolved,
                    Error::Unreachable(reason) => Self::Unreachable(reason),
                    Error::Tls(reason) => Self::Tls(reason),
                    Error::TimedOut => Self::TimedOut,
                    Error::Closed => Self::Closed,
                }
            }
        }
    };
}

/// Calls what a provider exports. The version brings `context`, and the conversion of its
/// descriptor and credential.
macro_rules! speak {
    ($version:expr) => {
        /// The places of a component's functions.
        #[derive(Clone)]
        pub(crate) struct Exports {
            provider: exports::provider::GuestIndices,
            pub(in crate::contract) renewal: Option<exports::renewal::GuestIndices>,
            pub(in crate::contract) inventory: Option<exports::inventory::GuestIndices>,
            pub(in crate::contract) publication: Option<exports::publication::GuestIndices>,
        }

        impl Exports {
            pub(in crate::contract) fn find(
                pre: &InstancePre<CallState>,
            ) -> Result<Self, PluginError> {
                let there = |interface: &str| {
                    let name = $version.provider().replacen("/provider@", interface, 1);
                    pre.component().get_export_index(None, &name).is_some()
                };
                let find = || {
                    Ok(Self {
                        provider: exports::provider::GuestIndices::new(pre)?,
                        renewal: there("/renewal@")
                            .then(|| exports::renewal::GuestIndices::new(pre))
                            .transpose()?,
                        inventory: there("/inventory@")
                            .then(|| exports::inventory::GuestIndices::new(pre))
                            .transpose()?,
                        publication: there("/publication@")
                            .then(|| exports::publication::GuestIndices::new(pre))
                            .transpose()?,
                    })
                };
                find().map_err(|error: wasmtime::Error| malformed(&error))
            }

            pub(in crate::contract) fn check(
                &self,
                (store, instance): At<'_>,
            ) -> wasmtime::Result<()> {
                if let Some(renewal) = &self.renewal {
                    renewal.load(&mut *store, instance)?;
                }
                if let Some(inventory) = &self.inventory {
                    inventory.load(&mut *store, instance)?;
                }
                if let Some(publication) = &self.publication {
                    publication.load(&mut *store, instance)?;
                }
                self.provider.load(store, instance).map(drop)
            }

            pub(in crate::contract) async fn describe(
                &self,
                (store, instance): At<'_>,
            ) -> wasmtime::Result<(answer::Descriptor, Vec<String>)> {
                let provider = self.provider.load(&mut *store, instance)?;
                let descriptor = provider.call_describe(&mut *store).await?;
                let names = match &self.publication {
                    Some(publication) => {
                        let publication = publication.load(&mut *store, instance)?;
                        publication.call_names(store).await?
                    }
                    None => Vec::new(),
                };
                Ok((descriptor.into(), names))
            }

            pub(in crate::contract) async fn validate_config(
                &self,
                (store, instance): At<'_>,
                call: &Call,
                config: &Secret<String>,
                role: Option<&Secret<String>>,
            ) -> Answered<answer::Validation> {
                let (config, role) = (config.expose(), role.map(Secret::expose));
                let guest = self.provider.load(&mut *store, instance)?;
                let context = context(call);
                let answer = guest.call_validate_config(store, &context, config, role).await?;
                Ok(answer.map(Into::into).map_err(Into::into))
            }

            pub(in crate::contract) async fn create(
                &self,
                (store, instance): At<'_>,
                call: &Call,
                documents: [&Secret<String>; 3],
                expires_at: Option<u64>,
            ) -> Answered<answer::Credential> {
                let [config, role, request] = documents.map(Secret::expose);
                let guest = self.provider.load(&mut *store, instance)?;
                let context = context(call);
                let made = guest.call_create(store, &context, config, role, request, expires_at);
                Ok(made.await?.map(Into::into).map_err(Into::into))
            }

            pub(in crate::contract) async fn revoke(
                &self,
                (store, instance): At<'_>,
                call: &Call,
                (config, role): (&Secret<String>, Option<&Secret<String>>),
                what: &Revocation,
            ) -> Answered<()> {
                let (config, role) = (config.expose(), role.map(Secret::expose));
                let what = match what {
                    Revocation::Credential(id) => wit::types::Revocation::Credential(id.clone()),
                    Revocation::UnknownCredential => wit::types::Revocation::UnknownCredential,
                    Revocation::FormerRoot(id) => wit::types::Revocation::FormerRoot(id.clone()),
                };
                let guest = self.provider.load(&mut *store, instance)?;
                let context = context(call);
                let ended = guest.call_revoke(store, &context, config, role, &what).await?;
                Ok(ended.map_err(Into::into))
            }

            pub(in crate::contract) async fn rotate(
                &self,
                (store, instance): At<'_>,
                call: &Call,
                config: &Secret<String>,
                account: Option<&Secret<String>>,
            ) -> Answered<answer::Rotated> {
                let config = config.expose();
                let what = Wiped(match account {
                    None => wit::types::Rotation::Root,
                    Some(role) => wit::types::Rotation::Account(role.expose().clone()),
                });
                let guest = self.provider.load(&mut *store, instance)?;
                let context = context(call);
                let rotated = guest.call_rotate(store, &context, config, &what.0).await?;
                Ok(rotated.map(Into::into).map_err(Into::into))
            }

            pub(in crate::contract) async fn renew(
                &self,
                (store, instance): At<'_>,
                call: &Call,
                documents: [&Secret<String>; 2],
                (id, expires_at): (&str, Option<u64>),
            ) -> Answered<()> {
                let [config, role] = documents.map(Secret::expose);
                let renewal = self.renewal.as_ref().ok_or(NotExported("renewal"))?;
                let guest = renewal.load(&mut *store, instance)?;
                let context = context(call);
                let renewed = guest.call_renew(store, &context, config, role, id, expires_at);
                Ok(renewed.await?.map_err(Into::into))
            }

            pub(in crate::contract) async fn list_credentials(
                &self,
                (store, instance): At<'_>,
                call: &Call,
                config: &Secret<String>,
                cursor: Option<&str>,
            ) -> Answered<answer::Page> {
                let config = config.expose();
                let inventory = self.inventory.as_ref().ok_or(NotExported("inventory"))?;
                let guest = inventory.load(&mut *store, instance)?;
                let context = context(call);
                let listed = guest.call_list_credentials(store, &context, config, cursor).await?;
                let page = |found: exports::inventory::Page| answer::Page {
                    ids: found.ids,
                    next: found.next,
                };
                Ok(listed.map(page).map_err(Into::into))
            }

            pub(in crate::contract) async fn publish(
                &self,
                (store, instance): At<'_>,
                call: &Call,
                (config, name): (&Secret<String>, &str),
                revoked: &[RevokedCredential],
            ) -> Answered<Option<answer::Document>> {
                let config = config.expose();
                let publication = self.publication.as_ref().ok_or(NotExported("publication"))?;
                let revoked: Vec<_> = revoked
                    .iter()
                    .map(|revoked| exports::publication::RevokedCredential {
                        id: revoked.id.clone(),
                        revoked_at: revoked.revoked_at.unix_seconds(),
                        expires_at: revoked.expires_at.map(Timestamp::unix_seconds),
                    })
                    .collect();
                let guest = publication.load(&mut *store, instance)?;
                let context = context(call);
                let made = guest.call_publish(store, &context, config, name, &revoked).await?;
                let document = |found: exports::publication::Document| answer::Document {
                    content_type: found.content_type,
                    body: found.body,
                    valid_for_s: found.valid_for_s,
                };
                Ok(made.map(|made| made.map(document)).map_err(Into::into))
            }
        }

        /// The role of an account, which is zeroed once it was told.
        struct Wiped(wit::types::Rotation);

        impl Drop for Wiped {
            fn drop(&mut self) {
                if let wit::types::Rotation::Account(role) = &mut self.0 {
                    zeroize::Zeroize::zeroize(role);
                }
            }
        }

        same_cases!(wit::types::FailureClass => lessor_model::provider::FailureClass {
            InvalidConfig, InvalidRequest, Denied, NotFound, Conflict, RateLimited, Unavailable,
            Unsupported, Internal,
        });

        impl From<wit::types::Failure> for answer::Failure {
            fn from(found: wit::types::Failure) -> Self {
                Self {
                    class: found.class.into(),
                    code: found.code,
                    message: found.message,
                    retry_after_ms: found.retry_after_ms,
                }
            }
        }

        impl From<wit::types::Validation> for answer::Validation {
            fn from(found: wit::types::Validation) -> Self {
                Self {
                    identity: found.identity,
                    warnings: found.warnings,
                }
            }
        }

        impl From<wit::types::Rotated> for answer::Rotated {
            fn from(found: wit::types::Rotated) -> Self {
                Self {
                    secret: found.secret,
                    retires: found.retires,
                    metadata: found.metadata,
                }
            }
        }
    };
}
