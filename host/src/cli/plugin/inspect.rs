//! `lessor plugin inspect`: the grants that a provider wants and the parts that it is made of,
//! before anybody pins it.

use std::path::Path;

use anyhow::{Context, Result};
use lessor_model::provider;
use serde_json::{Value, json};

use crate::{
    cli::{
        Console,
        output::{self, Format},
    },
    conformance,
};

/// Has the file describe itself, and prints its description.
pub(in crate::cli) fn inspect(
    file: &Path,
    format: Format,
    console: &mut Console<'_>,
) -> Result<()> {
    super::announce_compiling(file, console);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let provider = runtime.block_on(conformance::inspect(file))?;
    let mut whole = provider::portrait(&*provider);
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("file".into(), file.display().to_string().into());
    }
    show(&whole, format, console)
}

/// Prints the description of a provider: all of it as JSON, and in a table the facts that decide
/// whether it is pinned.
pub(super) fn show(whole: &Value, format: Format, console: &mut Console<'_>) -> Result<()> {
    let shown = match format {
        Format::Json => output::json(whole),
        Format::Table => output::fields(&readable(whole)),
    };
    console.data(&shown)
}

/// The facts by which an operator decides, one line each; of schemas only the names of fields.
fn readable(whole: &Value) -> Value {
    let at = |path: &str| whole.pointer(path).cloned().unwrap_or_default();
    let said = |name: &str| at(&format!("/descriptor/{name}"));
    let begins_with = |name: &str| at(&format!("/component/begins_with/{name}"));
    let mut readable = json!({
        "file": at("/file"),
        "sha256": at("/sha256"),
        "name": said("name"),
        "version": said("version"),
        "summary": said("summary"),
        "contract": at("/contract"),
        "wants to reach": said("endpoints"),
        "revoking a lease": revoking(&said("revocation")),
        "root credential needs": needs(&said("privileges")),
        "config": fields_of(&said("config_schema")),
        "role": fields_of(&said("role_schema")),
        "request": fields_of(&said("request_schema")),
        "credential": fields_of(&said("credential_schema")),
        "renews upstream": said("abilities/renewal"),
        "lists what it made": said("abilities/inventory"),
        "publishes": said("abilities/publication"),
        "paths in other words": dialect(&said("dialect")),
        "imports": lines(&at("/component/imports")),
        "exports": lines(&at("/component/exports")),
        "bytes": at("/component/size"),
        "bytes of code": at("/component/code_size"),
        "memories": begins_with("memories"),
        "bytes of memory": begins_with("memory"),
        "tables": begins_with("tables"),
        "elements of a table": begins_with("table"),
    });
    // Only a server knows them.
    if let (Some(fields), Some(pins)) = (readable.as_object_mut(), whole.get("pins")) {
        fields.insert("pinned as".into(), pins.clone());
    }
    readable
}

/// The effect upstream of the end of a lease.
fn revoking(shape: &Value) -> &'static str {
    match shape.as_str() {
        Some("expires-only") => "expires-only: the credential goes on to its own end",
        Some("none") => "none: the credential goes on for ever",
        _ => "deletes: the credential ends",
    }
}

/// Privileges by purpose, a purpose a line.
fn needs(privileges: &Value) -> String {
    let privileges = privileges.as_array().into_iter().flatten();
    let line = |privilege: &Value| {
        let purpose = privilege.get("purpose").and_then(Value::as_str);
        let names = privilege.get("names").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        let names = names.collect::<Vec<_>>().join(", ");
        format!("{}: {names}", purpose.unwrap_or_default())
    };
    privileges.map(line).collect::<Vec<_>>().join("\n")
}

/// Paths of the dialect with their methods and what they stand for, one a line.
fn dialect(aliases: &Value) -> String {
    let aliases = aliases.as_array().into_iter().flatten();
    let line = |alias: &Value| {
        let text = |name: &str| alias.get(name).and_then(Value::as_str).unwrap_or_default();
        let methods = alias.get("methods").and_then(Value::as_array);
        let methods = methods.into_iter().flatten().filter_map(Value::as_str);
        let methods = methods.collect::<Vec<_>>().join(", ");
        format!("{methods} {}: {}", text("path"), text("stands_for"))
    };
    aliases.map(line).collect::<Vec<_>>().join("\n")
}

fn lines(names: &Value) -> String {
    let names = names.as_array().into_iter().flatten();
    names
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The names of a schema's fields; a star marks the required ones.
fn fields_of(schema: &Value) -> Vec<String> {
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    let required = |field: &str| {
        let mut names = list("required").into_iter().flatten();
        names.any(|name| name == field)
    };
    let fields = schema.get("properties").and_then(Value::as_object);
    let names = fields.into_iter().flatten().map(|(name, _)| name);
    names
        .map(|name| match required(name) {
            true => format!("{name}*"),
            false => name.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_must_be_given_have_a_star() {
        let schema = json!({"properties": {"host": {}, "port": {}}, "required": ["host"]});
        assert_eq!(fields_of(&schema), ["host*", "port"]);
        assert_eq!(fields_of(&json!({})), [""; 0]);
    }
}
