//! Tokens: by keyed hash, never by value. A token hangs on the one that made it,
//! and what ends one ends all below it, with the leases that are bound to them.

use std::collections::BTreeMap;

use ipnet::IpNet;
use lessor_model::{clock::Timestamp, name::TokenRoleName};
use rusqlite::{Connection, Params, Row, params};
use serde::{Deserialize, Serialize};

use super::{
    Storage, StorageError, all, change, json, maybe_moment, moment, one, revocations, to_json,
};

/// A token as stored.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// `Keyring::token_hash` of the token.
    pub hash: [u8; 32],
    /// Names the token without being usable as it.
    pub accessor: String,
    /// For people and for templates.
    pub display_name: String,
    /// Names of its policies.
    pub policies: Vec<String>,
    /// The time when it was made.
    pub created_at: Timestamp,
    /// The time when it ends; absent: never.
    pub expires_at: Option<Timestamp>,
    /// Hash of the token that made it; absent: an orphan.
    pub parent: Option<[u8; 32]>,
    /// Requests that it may still make; absent: any number.
    pub uses_left: Option<u32>,
    /// The path that made it.
    pub path: String,
    /// All else.
    pub facts: TokenFacts,
}

/// The facts of a token that no query asks for. Spans are seconds; 0: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenFacts {
    /// The metadata that its maker, or its login, gave it.
    pub meta: Option<BTreeMap<String, String>>,
    /// The time for which it was to live when it was made.
    pub creation_ttl: u64,
    /// Its longest life, whatever else would allow more.
    pub explicit_max_ttl: u64,
    /// Its longest life by the login method that made it.
    pub max_ttl: u64,
    /// The time for which each renewal lasts, with no longest life.
    pub period: u64,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// The time when it was last renewed.
    pub renewed_at: Option<Timestamp>,
    /// Addresses that may use it; empty: all.
    pub bound_cidrs: Vec<IpNet>,
    /// The token role that it was made by.
    pub role: Option<String>,
    /// The uuid of that role, which tells it from a later one of its name: `RoleRow::uuid`.
    pub role_uuid: Option<String>,
    /// The entity that it stands for, the same over all tokens of one; empty: itself alone.
    pub entity: String,
    /// The login that gave it; absent: a holder of a token had it made.
    pub login: Option<LoginOrigin>,
}

/// The origin of a token from a login. The token gets nothing more from a method, role or user that
/// is gone or was replaced by another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoginOrigin {
    /// The uuid of the login method.
    pub mount: String,
    /// The name of the role or user.
    pub name: String,
    /// The uuid of the role or user, which tells it from a later one of its name.
    pub entry: String,
    /// The proof that it asked for, hashed; empty: nothing that can change.
    pub proof: String,
}

const COLUMNS: &str = "hash, accessor, display_name, policies, created_at, expires_at, parent, uses_left, path, facts";

/// A token `?1` and all below it.
const TREE: &str = "WITH RECURSIVE tree (hash) AS (
    SELECT hash FROM tokens WHERE hash = ?1
    UNION SELECT t.hash FROM tokens t JOIN tree ON t.parent = tree.hash)";

impl Storage {
    /// Stores a token. False where its parent has ended meanwhile, or where a
    /// token of this value is there already.
    pub async fn record_token(&self, token: TokenRow) -> Result<bool, StorageError> {
        self.write(move |connection| {
            if let Some(parent) = token.parent
                && !exists(connection, &parent)?
            {
                return Ok(false);
            }
            if exists(connection, &token.hash)? {
                return Ok(false);
            }
            insert(connection, &token)?;
            Ok(true)
        })
        .await
    }

    /// The token of a hash.
    pub async fn token_by_hash(&self, hash: [u8; 32]) -> Result<Option<TokenRow>, StorageError> {
        let read = self.find(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM tokens WHERE hash = ?1");
            one(connection, &sql, [hash], token_row)
        });
        self.0.tokens.find(hash, read).await
    }

    /// The token of an accessor.
    pub async fn token_by_accessor(
        &self,
        accessor: String,
    ) -> Result<Option<TokenRow>, StorageError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM tokens WHERE accessor = ?1");
            one(connection, &sql, [accessor], token_row)
        })
        .await
    }

    /// Accessors of the tokens that have not ended at `now`, at most `limit`.
    pub async fn token_accessors(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT accessor FROM tokens WHERE expires_at IS NULL OR expires_at > ?1 ORDER BY accessor LIMIT ?2",
                params![now.0, limit],
                |row| row.get(0),
            )
        })
        .await
    }

    /// The number of tokens that have not ended at `now`.
    pub async fn token_count(&self, now: Timestamp) -> Result<u64, StorageError> {
        let count = self.read(move |connection| {
            one(
                connection,
                "SELECT count(*) FROM tokens WHERE expires_at IS NULL OR expires_at > ?1",
                [now.0],
                |row| row.get(0),
            )
        });
        Ok(count.await?.unwrap_or_default())
    }

    /// Takes one use of a token; those left. None where none was left, or the
    /// token is gone.
    pub async fn use_token(&self, hash: [u8; 32]) -> Result<Option<u32>, StorageError> {
        self.write(move |connection| {
            one(
                connection,
                "UPDATE tokens SET uses_left = uses_left - 1 WHERE hash = ?1 AND uses_left > 0
                 RETURNING uses_left",
                [hash],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Moves the end of a token, with what else a renewal changes of its facts;
    /// false where it has ended at `now`.
    pub async fn record_token_renewed(
        &self,
        hash: [u8; 32],
        expires_at: Timestamp,
        facts: TokenFacts,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            let renewed = change(
                connection,
                "UPDATE tokens SET expires_at = ?2, facts = ?3
                 WHERE hash = ?1 AND (expires_at IS NULL OR expires_at > ?4)",
                params![hash, expires_at.0, to_json(&facts)?, now.0],
            )?;
            Ok(renewed > 0)
        })
        .await
    }

    /// Ends a token and all below it, and marks the leases that are bound to
    /// them. The accessors of the tokens, and the number of leases marked.
    pub async fn end_token(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<(Vec<String>, usize), StorageError> {
        self.write(move |connection| end_tree(connection, &hash, now))
            .await
    }

    /// Ends a token alone: those that it made live on as orphans, but for root tokens,
    /// which outlive nobody that they are from.
    pub async fn end_token_alone(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<(Vec<String>, usize), StorageError> {
        self.write(move |connection| {
            change(
                connection,
                r#"UPDATE tokens SET parent = NULL WHERE parent = ?1 AND policies <> '["root"]'"#,
                [hash],
            )?;
            end_tree(connection, &hash, now)
        })
        .await
    }

    /// Ends the tokens that paths below `prefix` made, and all below those, at
    /// most `limit` of the former at a time. The accessors of all that ended, and the
    /// number of leases marked.
    pub async fn end_tokens_made_below(
        &self,
        prefix: String,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<String>, usize), StorageError> {
        self.write(move |connection| {
            end_all(
                connection,
                "SELECT hash FROM tokens WHERE path >= ?1 AND substr(path, 1, length(?1)) = ?1 LIMIT ?2",
                params![prefix, limit],
                now,
            )
        })
        .await
    }

    /// Ends the tokens whose time is over, as [`Self::end_tokens_made_below`].
    pub async fn end_due_tokens(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<String>, usize), StorageError> {
        self.write(move |connection| {
            end_all(
                connection,
                "SELECT hash FROM tokens WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
                params![now.0, limit],
                now,
            )
        })
        .await
    }

    /// The time when the next token ends.
    pub async fn next_token_end(&self) -> Result<Option<Timestamp>, StorageError> {
        self.read(|connection| {
            one(
                connection,
                "SELECT expires_at FROM tokens WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT 1",
                [],
                |row| row.get(0).map(Timestamp),
            )
        })
        .await
    }

    /// Writes a token role; one that is there keeps its uuid.
    pub async fn write_token_role(
        &self,
        name: TokenRoleName,
        uuid: String,
        document: String,
    ) -> Result<(), StorageError> {
        self.execute(
            "INSERT INTO token_roles (name, uuid, document) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET document = excluded.document",
            (name.to_string(), uuid, document),
        )
        .await
    }

    /// The uuid and the document of a token role.
    pub async fn token_role(
        &self,
        name: TokenRoleName,
    ) -> Result<Option<(String, String)>, StorageError> {
        self.read(move |connection| {
            one(
                connection,
                "SELECT uuid, document FROM token_roles WHERE name = ?1",
                [name.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }

    /// Names of the token roles.
    pub async fn token_role_names(&self) -> Result<Vec<String>, StorageError> {
        self.read(|connection| {
            all(
                connection,
                "SELECT name FROM token_roles ORDER BY name",
                [],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Removes a token role; tokens made by it live on.
    pub async fn remove_token_role(&self, name: TokenRoleName) -> Result<bool, StorageError> {
        self.execute_any(
            "DELETE FROM token_roles WHERE name = ?1",
            [name.to_string()],
        )
        .await
    }
}

/// Whether a token has a row; within a transaction.
pub(super) fn exists(connection: &Connection, hash: &[u8; 32]) -> Result<bool, StorageError> {
    let found = one(
        connection,
        "SELECT 1 FROM tokens WHERE hash = ?1",
        [hash],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Inserts a token; within a transaction.
pub(super) fn insert(connection: &Connection, token: &TokenRow) -> Result<(), StorageError> {
    change(
        connection,
        &format!("INSERT INTO tokens ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"),
        params![
            token.hash,
            token.accessor,
            token.display_name,
            to_json(&token.policies)?,
            token.created_at.0,
            token.expires_at.map(|end| end.0),
            token.parent,
            token.uses_left,
            token.path,
            to_json(&token.facts)?,
        ],
    )?;
    Ok(())
}

/// Ends the tokens whose hashes a query gives, and all below those.
fn end_all(
    connection: &Connection,
    query: &str,
    parameters: impl Params,
    now: Timestamp,
) -> Result<(Vec<String>, usize), StorageError> {
    let hashes: Vec<[u8; 32]> = all(connection, query, parameters, |row| row.get(0))?;
    let (mut accessors, mut marked) = (Vec::new(), 0);
    for hash in &hashes {
        let (ended, leases) = end_tree(connection, hash, now)?;
        accessors.extend(ended);
        marked += leases;
    }
    Ok((accessors, marked))
}

fn end_tree(
    connection: &Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<(Vec<String>, usize), StorageError> {
    let tree: Vec<([u8; 32], String)> = all(
        connection,
        &format!("{TREE} SELECT t.hash, t.accessor FROM tokens t JOIN tree USING (hash)"),
        [hash],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (mut accessors, mut marked) = (Vec::new(), 0);
    for (hash, accessor) in tree {
        marked += revocations::mark_bound(connection, &accessor, now)?;
        change(connection, "DELETE FROM tokens WHERE hash = ?1", [hash])?;
        accessors.push(accessor);
    }
    Ok((accessors, marked))
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        hash: row.get("hash")?,
        accessor: row.get("accessor")?,
        display_name: row.get("display_name")?,
        policies: json(row, "policies")?,
        created_at: moment(row, "created_at")?,
        expires_at: maybe_moment(row, "expires_at")?,
        parent: row.get("parent")?,
        uses_left: row.get("uses_left")?,
        path: row.get("path")?,
        facts: json(row, "facts")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);
    const HASH: [u8; 32] = [1; 32];
    const PARENT: [u8; 32] = [2; 32];

    fn token(hash: [u8; 32], parent: Option<[u8; 32]>) -> TokenRow {
        TokenRow {
            hash,
            accessor: hex::encode(hash),
            display_name: "tester".into(),
            policies: vec!["default".into()],
            created_at: Timestamp(0),
            expires_at: Some(Timestamp(2_000)),
            parent,
            uses_left: Some(5),
            path: "auth/test/login".into(),
            facts: TokenFacts::default(),
        }
    }

    /// Each way in which a token changes, after it was looked up and is kept in memory:
    /// what is found then, as its end and the uses that are left.
    #[tokio::test]
    async fn a_token_is_found_as_it_was_last_written() {
        type Found = Option<(i64, u32)>;
        let ways: [(&str, Found); 8] = [
            ("use", Some((2_000, 4))),
            ("renew", Some((3_000, 5))),
            ("end", None),
            ("end its parent", None),
            ("end its parent alone", Some((2_000, 5))),
            ("end what its path made", None),
            ("end what is due", None),
            ("take what it wraps", None),
        ];
        for (way, expected) in ways {
            let directory = tempfile::tempdir().unwrap();
            let storage = Storage::open(&directory.path().join("lessor.db")).unwrap();
            assert!(storage.record_token(token(PARENT, None)).await.unwrap());
            let child = token(HASH, Some(PARENT));
            storage.record_wrapping(child, vec![7]).await.unwrap();
            for _ in 0..2 {
                let before = storage.token_by_hash(HASH).await.unwrap().unwrap();
                assert_eq!(before.parent, Some(PARENT));
            }
            match way {
                "use" => assert_eq!(storage.use_token(HASH).await.unwrap(), Some(4)),
                "renew" => {
                    let renewed = storage.record_token_renewed(
                        HASH,
                        Timestamp(3_000),
                        TokenFacts::default(),
                        NOW,
                    );
                    assert!(renewed.await.unwrap());
                }
                "end" => drop(storage.end_token(HASH, NOW).await.unwrap()),
                "end its parent" => drop(storage.end_token(PARENT, NOW).await.unwrap()),
                "end its parent alone" => {
                    storage.end_token_alone(PARENT, NOW).await.unwrap();
                }
                "end what its path made" => {
                    let ended = storage.end_tokens_made_below("auth/test/".into(), NOW, 9);
                    assert_eq!(ended.await.unwrap().0.len(), 2);
                }
                "end what is due" => {
                    let ended = storage.end_due_tokens(Timestamp(2_000), 9).await.unwrap();
                    assert_eq!(ended.0.len(), 2);
                }
                "take what it wraps" => {
                    let taken = storage.take_wrapping(HASH, NOW).await.unwrap();
                    assert_eq!(taken, Some(vec![7]));
                }
                way => panic!("{way}"),
            }
            let found = storage.token_by_hash(HASH).await.unwrap();
            if way == "end its parent alone" {
                assert_eq!(found.as_ref().unwrap().parent, None);
            }
            let found = found.map(|row| (row.expires_at.unwrap().0, row.uses_left.unwrap()));
            assert_eq!(found, expected, "{way}");
        }
    }
}
