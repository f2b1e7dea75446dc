//! Roles and users of login methods: sealed documents by name.

use std::sync::Arc;

use lessor_model::{
    clock::Clock,
    event::Event,
    id::{Digest, OperationId},
    name::EntryName,
    refusal::Refusal,
    secret::Secret,
    token::TokenParameters,
};
use lessor_seal::keyring::Keyring;
use lessor_store::{LoginEntryRow, Storage};
use serde::{Serialize, de::DeserializeOwned};

use super::{LoginMount, Standing};
use crate::context::Context;

/// The stored form of a role or user.
pub(super) trait Entry: Serialize + DeserializeOwned + Send {
    /// The noun for it in sentences.
    const NOUN: &'static str;

    /// The name that callers give at login, if it is another one than its own.
    fn alias(&self) -> Option<String>;

    /// The settings of its tokens.
    fn token(&self) -> &TokenParameters;

    /// The proof that it asks for, as one text, where a renewal of a token does not show that
    /// again; empty: nothing that can change.
    fn proof(&self) -> String;
}

/// A role or user that was found.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// Its name.
    pub(super) name: EntryName,
    /// Names it for ever.
    uuid: String,
    /// The role or user itself.
    pub(super) entry: T,
}

impl<T: Entry> Found<T> {
    /// The terms that it gives now, with the facts that tell it from a later one of its name.
    pub(super) fn standing(&self) -> Standing {
        let proof = self.entry.proof();
        Standing {
            name: self.name.to_string(),
            uuid: self.uuid.clone(),
            proof: match proof.is_empty() {
                true => proof,
                false => Digest::of(proof.as_bytes()).to_string(),
            },
            parameters: self.entry.token().clone(),
        }
    }
}

/// The roles and users of all login methods. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    storage: Storage,
    keyring: Keyring,
    clock: Clock,
    /// Held from reading an entry to writing it: a write that names few fields
    /// keeps what another one sets at the same time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Entries {
    pub(super) fn new(context: Context) -> Self {
        let Context {
            storage,
            keyring,
            clock,
        } = context;
        Self {
            storage,
            keyring,
            clock,
            turn: Arc::default(),
        }
    }

    /// An entry; none where there is none of the name, or the name is none.
    pub(super) async fn find<T: Entry>(
        &self,
        mount: &LoginMount,
        name: &str,
    ) -> Result<Option<Found<T>>, Refusal> {
        match name.parse() {
            Ok(name) => self.named(mount, &name).await,
            Err(_) => Ok(None),
        }
    }

    /// The entry of a name.
    pub(super) async fn named<T: Entry>(
        &self,
        mount: &LoginMount,
        name: &EntryName,
    ) -> Result<Option<Found<T>>, Refusal> {
        let row = self.storage.login_entry(mount.id, name.clone()).await?;
        row.map(|row| self.open(mount, row)).transpose()
    }

    /// The entry that callers name by `alias`.
    pub(super) async fn find_by_alias<T: Entry>(
        &self,
        mount: &LoginMount,
        alias: &str,
    ) -> Result<Option<Found<T>>, Refusal> {
        let found = self
            .storage
            .login_entry_by_alias(mount.id, alias.to_owned());
        let row = found.await?;
        row.map(|row| self.open(mount, row)).transpose()
    }

    /// Names, in order.
    pub(super) async fn names(&self, mount: &LoginMount) -> Result<Vec<String>, Refusal> {
        Ok(self.storage.login_entry_names(mount.id).await?)
    }

    /// Writes what `change` makes of the former entry.
    pub(super) async fn write<T: Entry, E: From<Refusal>>(
        &self,
        mount: &LoginMount,
        name: &str,
        change: impl FnOnce(Option<T>) -> Result<T, E> + Send,
    ) -> Result<(), E> {
        let name = parse_name::<T>(name)?;
        let _turn = self.turn.lock().await;
        let _open = mount.enter().await?;
        let former = self.named(mount, &name).await?;
        let entry = change(former.map(|found| found.entry))?;
        let plain = serde_json::to_vec(&entry).map_err(Refusal::internal)?;
        let plain = Secret::new(plain);
        let document = self
            .keyring
            .seal(&context(mount, &name), plain.expose())
            .map_err(Refusal::from)?;
        let uuid = OperationId::new(self.clock.now()).map_err(Refusal::from)?;
        let row = LoginEntryRow {
            name: name.clone(),
            // For a new one alone: one that is there keeps its own.
            uuid: uuid.to_string(),
            document,
        };
        let written = self
            .storage
            .replace_login_entry(mount.id, row, entry.alias());
        match written.await {
            Err(error) if error.is_duplicate() => Err(E::from(Refusal::Conflict(format!(
                "role_id belongs to another {} of this login method",
                T::NOUN
            )))),
            other => other.map_err(|error| E::from(error.into())),
        }?;
        Event::LoginEntryWritten {
            path: mount.path().clone(),
            entry: T::NOUN,
            name: name.to_string(),
        }
        .record();
        Ok(())
    }

    /// Removes an entry; gone already is done.
    pub(super) async fn remove<T: Entry>(
        &self,
        mount: &LoginMount,
        name: &str,
    ) -> Result<(), Refusal> {
        let name = parse_name::<T>(name)?;
        let _turn = self.turn.lock().await;
        let removed = self.storage.remove_login_entry(mount.id, name.clone());
        if removed.await? {
            Event::LoginEntryRemoved {
                path: mount.path().clone(),
                entry: T::NOUN,
                name: name.to_string(),
            }
            .record();
        }
        Ok(())
    }

    fn open<T: Entry>(&self, mount: &LoginMount, row: LoginEntryRow) -> Result<Found<T>, Refusal> {
        let plain = self
            .keyring
            .open(&context(mount, &row.name), &row.document)?;
        Ok(Found {
            entry: serde_json::from_slice(plain.expose()).map_err(Refusal::internal)?,
            name: row.name,
            uuid: row.uuid,
        })
    }
}

/// A name as a caller writes it.
pub(super) fn parse_name<T: Entry>(name: &str) -> Result<EntryName, Refusal> {
    name.parse().map_err(|_| {
        Refusal::Invalid(format!(
            "a {} name is 1 to 128 letters, digits, `.`, `_` or `-`",
            T::NOUN
        ))
    })
}

fn context(mount: &LoginMount, name: &EntryName) -> String {
    format!("auth_entries/{}/{name}/document", mount.sealed_as)
}
