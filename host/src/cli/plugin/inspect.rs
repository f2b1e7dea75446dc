//! `lessor plugin inspect`: what a provider wants and is made of, before anybody pins
//! it.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    cli::{
        Console,
        output::{self, Format},
    },
    conformance,
    provider::Provider,
};

/// Has the file describe itself, and prints what it says.
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
    let shown = match format {
        Format::Json => output::json(&whole(file, &*provider)),
        Format::Table => output::fields(&readable(file, &*provider)),
    };
    console.data(&shown)
}

/// All that there is to know.
fn whole(file: &Path, provider: &dyn Provider) -> Value {
    json!({
        "file": file.display().to_string(),
        "sha256": provider.digest(),
        "contract": contract(provider),
        "descriptor": provider.descriptor(),
        "component": provider.anatomy(),
    })
}

/// What decides whether it is pinned, one line each; of schemas the names of fields.
fn readable(file: &Path, provider: &dyn Provider) -> Value {
    let (descriptor, anatomy) = (provider.descriptor(), provider.anatomy());
    json!({
        "file": file.display().to_string(),
        "sha256": provider.digest(),
        "name": descriptor.name,
        "version": descriptor.version,
        "summary": descriptor.summary,
        "contract": contract(provider),
        "wants to reach": descriptor.endpoints,
        "config": fields_of(&descriptor.config_schema),
        "role": fields_of(&descriptor.role_schema),
        "request": fields_of(&descriptor.request_schema),
        "credential": fields_of(&descriptor.credential_schema),
        "renews upstream": descriptor.abilities.renewal,
        "lists what it made": descriptor.abilities.inventory,
        "publishes": descriptor.abilities.publication,
        "imports": lines(&anatomy.imports),
        "exports": lines(&anatomy.exports),
        "bytes": anatomy.size,
        "bytes of code": anatomy.code_size,
        "memories": anatomy.begins_with.memories,
        "bytes of memory": anatomy.begins_with.memory,
        "tables": anatomy.begins_with.tables,
        "elements of a table": anatomy.begins_with.table,
    })
}

fn lines(names: &[String]) -> String {
    names.join("\n")
}

/// The version of the contract that it was built for.
fn contract(provider: &dyn Provider) -> Option<&str> {
    let exports = &provider.anatomy().exports;
    let mut named = exports
        .iter()
        .filter_map(|export| export.strip_prefix("lessor:provider/provider@"));
    named.next()
}

/// The names of a schema's fields; a star marks what must be given.
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
