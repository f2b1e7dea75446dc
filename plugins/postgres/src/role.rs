//! What the operator writes per role: either the role's own statements or what
//! the leased role may do, or the existing account whose password is rotated.

use lessor_sdk::prelude::*;

use crate::sql::{identifier, identifiers, literal};
use crate::template::Statements;

/// What a leased role is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// SQL that makes the role, run in one transaction. Placeholders:
    /// `{{name}}` (also `{{username}}`), `{{password}}`, `{{expiration}}`.
    pub creation_statements: Statements,
    /// SQL that ends the role, instead of reassigning and dropping what it owns
    /// and dropping it. Its sessions have been ended before. Placeholder:
    /// `{{name}}`.
    pub revocation_statements: Statements,
    /// SQL that moves the role's end, instead of `ALTER ROLE … VALID UNTIL`.
    /// Placeholders: `{{name}}`, `{{expiration}}`.
    pub renew_statements: Statements,
    /// SQL that undoes what a creation that failed did outside its
    /// transaction. Must be harmless where there is nothing to undo.
    /// Placeholder: `{{name}}`.
    pub rollback_statements: Statements,
    /// SQL that gives an existing role its new password, instead of
    /// `ALTER ROLE … PASSWORD`, run in one transaction. With `username` only.
    /// Placeholders: `{{name}}`, `{{password}}`.
    pub rotation_statements: Statements,
    /// What the leased role may do, instead of `creation_statements`.
    pub grants: Vec<Grant>,
    /// The roles that it becomes a member of, instead of
    /// `creation_statements`. One group role with the privileges serves any
    /// number of leases, where `grants` grow a list on every table.
    pub member_of: Vec<String>,
    /// Sessions that the leased role may have at once; no limit where absent.
    /// With `grants` or `member_of` only.
    pub connection_limit: Option<u32>,
    /// What passwords look like.
    pub password_policy: PasswordPolicy,
    /// An existing role whose password is rotated, instead of leasing new ones.
    pub username: Option<String>,
}

/// Privileges in one schema of the config's database. `USAGE` of the schema
/// comes with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Grant {
    /// Name of the schema.
    pub schema: String,
    /// Names of tables, views or foreign tables; all that exist when the lease
    /// is made, where empty.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Privileges on the tables.
    #[serde(default)]
    pub privileges: Vec<TablePrivilege>,
    /// Privileges on all sequences of the schema: whoever inserts into a table
    /// with a `serial` column needs `USAGE`.
    #[serde(default)]
    pub sequences: Vec<SequencePrivilege>,
}

/// A privilege on tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(missing_docs, reason = "PostgreSQL's own words")]
pub enum TablePrivilege {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    References,
    Trigger,
}

/// A privilege on sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(missing_docs, reason = "PostgreSQL's own words")]
pub enum SequencePrivilege {
    Usage,
    Select,
    Update,
}

/// How the leased role is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By the role's own statements.
    Statements,
    /// By `grants` and `member_of`.
    Declared,
}

impl Role {
    /// How leased roles are made. Refuses a role that does not say, or says
    /// two things.
    pub(crate) fn form(&self) -> Result<Form> {
        let declared = !self.grants.is_empty() || !self.member_of.is_empty();
        match (
            &self.username,
            self.creation_statements.is_empty(),
            declared,
        ) {
            (Some(username), true, false) => Err(refuse(format!(
                "The role rotates the password of {username:?} and leases no new roles: read its credential \
                 instead, or replace `username` by `grants`, `member_of` or `creation_statements`."
            ))),
            (Some(_), _, _) => Err(refuse(
                "The role has `username`, which rotates an existing role's password, beside `grants`, `member_of` \
                 or `creation_statements`, which lease new ones: write two roles.",
            )),
            (None, true, true) => Ok(Form::Declared),
            (None, false, true) => Err(refuse(
                "The role has both `creation_statements` and `grants` or `member_of`: keep one of the two.",
            )),
            (None, false, false) if self.connection_limit.is_some() => Err(refuse(
                "The role's `connection_limit` goes with `grants` or `member_of`; in `creation_statements`, write \
                 CONNECTION LIMIT.",
            )),
            (None, false, false) => Ok(Form::Statements),
            (None, true, false) => Err(refuse(
                "The role does not say what to lease: give `member_of` (roles to become a member of), `grants` \
                 (privileges in a schema) or `creation_statements` (SQL).",
            )),
        }
    }

    /// The existing role whose password is rotated. Refuses a role that leases
    /// new ones.
    pub(crate) fn account(&self) -> Result<&str> {
        match &self.username {
            Some(username) if !username.is_empty() => Ok(username),
            _ => Err(refuse(
                "The role must name in `username` the existing role whose password is rotated.",
            )),
        }
    }

    /// Refuses what can be seen to be wrong without asking the server.
    pub(crate) fn check(&self) -> Result<()> {
        self.password_policy.check()?;
        if self.username.is_some()
            && self.creation_statements.is_empty()
            && self.grants.is_empty()
            && self.member_of.is_empty()
        {
            if !self.rotation_statements.is_empty() && !self.rotation_statements.mention("password")
            {
                return Err(refuse(
                    "The role's `rotation_statements` must set {{password}}, and do not mention it.",
                ));
            }
            return self.account().map(drop);
        }
        if self.username.is_none() && !self.rotation_statements.is_empty() {
            return Err(refuse(
                "The role's `rotation_statements` go with `username`, the existing role whose password they set.",
            ));
        }
        if self.form()? == Form::Statements
            && !self.creation_statements.mention("name")
            && !self.creation_statements.mention("username")
        {
            return Err(refuse(
                "The role's `creation_statements` must create the role {{name}}, and do not mention it.",
            ));
        }
        for (index, grant) in self.grants.iter().enumerate() {
            if grant.privileges.is_empty() && grant.sequences.is_empty() {
                return Err(refuse(format!(
                    "The role's grants[{index}] gives nothing: write `privileges` ([\"SELECT\"], say) or `sequences`."
                )));
            }
        }
        Ok(())
    }

    /// Whether making or ending the leased role changes privileges on objects
    /// that other leases change too.
    pub(crate) fn grants_on_objects(&self) -> bool {
        !self.grants.is_empty() || self.creation_statements.grant_on_objects()
    }
}

impl Grant {
    /// The commands that give it to `name`. The schema's `USAGE` is given only
    /// where the role has it by no other way: PUBLIC has that of `public`, and
    /// whoever may not pass it on need not.
    pub(crate) fn commands(&self, name: &str) -> Vec<String> {
        let (schema, role) = (identifier(&self.schema), identifier(name));
        let usage = format!(
            "BEGIN IF NOT has_schema_privilege({}, {}, 'USAGE') THEN GRANT USAGE ON SCHEMA {schema} TO {role}; END IF; END",
            literal(name),
            literal(&self.schema),
        );
        let mut commands = vec![format!("DO {}", literal(&usage))];
        if !self.privileges.is_empty() {
            let privileges: Vec<_> = self
                .privileges
                .iter()
                .map(|privilege| privilege.sql())
                .collect();
            let tables = if self.tables.is_empty() {
                format!("ALL TABLES IN SCHEMA {schema}")
            } else {
                let names = self
                    .tables
                    .iter()
                    .map(|table| format!("{schema}.{}", identifier(table)));
                format!("TABLE {}", names.collect::<Vec<_>>().join(", "))
            };
            commands.push(format!(
                "GRANT {} ON {tables} TO {role}",
                privileges.join(", ")
            ));
        }
        if !self.sequences.is_empty() {
            let privileges: Vec<_> = self
                .sequences
                .iter()
                .map(|privilege| privilege.sql())
                .collect();
            commands.push(format!(
                "GRANT {} ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
                privileges.join(", ")
            ));
        }
        commands
    }
}

impl TablePrivilege {
    /// As `GRANT` writes it.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::References => "REFERENCES",
            Self::Trigger => "TRIGGER",
        }
    }
}

impl SequencePrivilege {
    /// As `GRANT` writes it.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Usage => "USAGE",
            Self::Select => "SELECT",
            Self::Update => "UPDATE",
        }
    }
}

/// `CREATE ROLE` of the declared form. `verifier` is what the server keeps of
/// the password.
pub(crate) fn create_role(role: &Role, name: &str, verifier: &str, valid_until: &str) -> String {
    let limit = role
        .connection_limit
        .map(|limit| format!(" CONNECTION LIMIT {limit}"))
        .unwrap_or_default();
    let groups = match role.member_of.as_slice() {
        [] => String::new(),
        groups => format!(" IN ROLE {}", identifiers(groups)),
    };
    let (name, verifier, until) = (identifier(name), literal(verifier), literal(valid_until));
    format!("CREATE ROLE {name} LOGIN PASSWORD {verifier} VALID UNTIL {until}{limit}{groups}")
}

fn refuse(message: impl Into<String>) -> Failure {
    Failure::invalid_config("role_invalid", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(json: &str) -> Role {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn exactly_one_form_must_be_present() {
        for (json, form) in [
            (r#"{"member_of": ["readers"]}"#, Form::Declared),
            (
                r#"{"grants": [{"schema": "public", "privileges": ["SELECT"]}], "connection_limit": 3}"#,
                Form::Declared,
            ),
            (
                r#"{"creation_statements": "CREATE ROLE \"{{name}}\""}"#,
                Form::Statements,
            ),
        ] {
            assert_eq!(role(json).form().unwrap(), form);
            assert!(role(json).check().is_ok());
        }
        for (json, said) in [
            ("{}", "does not say what to lease"),
            (
                r#"{"creation_statements": ["x"], "member_of": ["y"]}"#,
                "both `creation_statements` and",
            ),
            (
                r#"{"username": "app", "member_of": ["y"]}"#,
                "write two roles",
            ),
            (
                r#"{"creation_statements": ["{{name}}"], "connection_limit": 3}"#,
                "CONNECTION LIMIT",
            ),
            (
                r#"{"creation_statements": ["CREATE ROLE x"]}"#,
                "must create the role {{name}}",
            ),
            (
                r#"{"grants": [{"schema": "public"}]}"#,
                "grants[0] gives nothing",
            ),
            (r#"{"username": ""}"#, "must name in `username`"),
        ] {
            assert!(
                role(json).check().unwrap_err().message().contains(said),
                "{json}"
            );
        }
        assert!(role(r#"{"username": "app"}"#).check().is_ok());
        assert!(
            role(r#"{"username": "app"}"#)
                .form()
                .unwrap_err()
                .message()
                .contains("leases no new roles")
        );
    }

    #[test]
    fn the_declared_form_becomes_sql_with_every_name_quoted() {
        let declared = role(r#"{"member_of": ["readers", "w\"x"], "connection_limit": 2}"#);
        assert_eq!(
            create_role(&declared, "app-x7", "SCRAM-SHA-256$…", "infinity"),
            "CREATE ROLE \"app-x7\" LOGIN PASSWORD 'SCRAM-SHA-256$…' VALID UNTIL 'infinity' CONNECTION LIMIT 2 \
             IN ROLE \"readers\", \"w\"\"x\""
        );
        let grant: Grant = serde_json::from_str(
            r#"{"schema": "a b", "tables": ["t", "u"], "privileges": ["SELECT", "INSERT"], "sequences": ["USAGE"]}"#,
        )
        .unwrap();
        let [usage, tables, sequences] = grant.commands("n").try_into().unwrap();
        assert!(
            usage.starts_with("DO 'BEGIN IF NOT has_schema_privilege(''n'', ''a b'', ''USAGE'')"),
            "{usage}"
        );
        assert_eq!(
            tables,
            r#"GRANT SELECT, INSERT ON TABLE "a b"."t", "a b"."u" TO "n""#
        );
        assert_eq!(
            sequences,
            r#"GRANT USAGE ON ALL SEQUENCES IN SCHEMA "a b" TO "n""#
        );
    }
}
