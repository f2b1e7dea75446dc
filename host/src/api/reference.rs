//! `docs/api.md`, which is made of the table of endpoints and compared with it.

use std::{collections::HashSet, fmt::Write as _};

use lessor_model::mount;

use schemars::SchemaGenerator;
use serde_json::Value;

use super::{
    answer::{Auth, Errors, Wire, WrapInfo},
    endpoint::{
        Endpoint, Handler, Shelf, Verb,
        gives::{Gives, Shape},
    },
    openapi::{self, REFUSALS},
    table::ROUTES,
};
use crate::testing::page::assert_page;

/// The text above the paths.
const HEAD: &str = "\
# The API

This page is for those who write clients, policies or scripts. It lists every path, its
operations, the fields that the host itself reads, and the answers. It is generated from the
table that serves the paths. On a running server, `?help=1` behind a path, or `bao path-help`,
shows the same for that path, with the fields of its providers;
`GET /v1/sys/internal/specs/openapi` gives everything as OpenAPI 3.1.

All paths are below `/v1/`. In a path, `:name` stands for one segment and `*name` for one or
more. A write is POST or PUT; a list is LIST, or GET with `?list=true`. A read or a removal
takes its fields in the query, and a DELETE in its body too. *sudo*: a policy must grant `sudo`
there beside the operation itself. *open*: no token is needed. A duration is a number of
seconds, or text such as `90s`, `1h30m` or `7d`.

The answer of an operation is behind its arrow: the status and, if there is one, the type of
the field `data` of the [Answer](#answer). *On top*: the fields of `data` are beside it, too.
A 204 becomes a 200 if the answer has warnings. Any answer may be wrapped, by
`X-Vault-Wrap-TTL`.

A refusal is [Errors](#errors): `{\"errors\": [...]}` with one sentence that names the field and
the way out. Every operation may refuse with 400, 429, 500 or 503; one that is not *open* also
with 403; a write also with 403, 408 or 413; and a path below a mount or a login method also
with 404, once that is removed. Other statuses are named at the operation.

";

fn page() -> String {
    let mut text = HEAD.to_owned();
    for (status, about) in REFUSALS {
        let _ = writeln!(text, "- {status}: {about}");
    }
    let mut types = openapi::types();
    let _: [_; 4] = [
        types.subschema_for::<Wire<'_>>(),
        types.subschema_for::<Auth<'_>>(),
        types.subschema_for::<WrapInfo<'_>>(),
        types.subschema_for::<Errors>(),
    ];
    let mounts = mount::Kind::all().map(Shelf::Mount);
    for shelf in std::iter::once(Shelf::Host).chain(mounts) {
        let (title, about) = match shelf {
            Shelf::Host => ("The server".to_owned(), "Below `/v1/`."),
            Shelf::Mount(mount::Kind::Provider) => (
                "A mount".to_owned(),
                "Below the path of a mounted provider, such as `/v1/db/`. Configs, roles, requests and static roles have \
                 the fields of the provider's schemas, too: `lessor plugin show` lists them.",
            ),
            Shelf::Mount(mount::Kind::Login(kind)) => (
                format!("A login method of the kind {}", kind.as_str()),
                "Below `/v1/auth/` and its path.",
            ),
        };
        let _ = write!(text, "\n## {title}\n\n{about}\n");
        let shown = ROUTES
            .endpoints(shelf)
            .filter(|it| !it.pattern.starts_with("sys/test/"));
        for endpoint in shown {
            of_endpoint(&mut text, endpoint, &mut types);
        }
    }
    add_types(&mut text, types);
    text
}

fn of_endpoint(text: &mut String, endpoint: &Endpoint, types: &mut SchemaGenerator) {
    let readable = |pattern: &str| pattern.replace('~', "");
    let _ = write!(
        text,
        "\n### `{}`\n\n{}",
        readable(endpoint.pattern),
        endpoint.about
    );
    for other in endpoint.also {
        let _ = write!(text, " Also `{}`.", readable(other));
    }
    text.push_str("\n\n");
    for verb in endpoint.verbs {
        let methods: Vec<_> = verb.operations.iter().map(|it| it.method()).collect();
        let is_open = matches!(verb.handler, Handler::Anybody(_) | Handler::Login);
        let sudo = verb.operations.iter().any(|it| endpoint.sudo.contains(it));
        let marks = [(is_open, " *open*"), (sudo, " *sudo*")];
        let marks: String = marks
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, mark)| *mark)
            .collect();
        let _ = writeln!(
            text,
            "- **{}**{marks}: {} → {}",
            methods.join(", "),
            verb.about,
            answers(verb, types)
        );
    }
    let mut seen = HashSet::new();
    let fields = endpoint.verbs.iter().flat_map(|verb| verb.fields());
    let fields: Vec<_> = fields.filter(|field| seen.insert(field.name)).collect();
    if !fields.is_empty() {
        text.push_str("\n| field | | |\n|---|---|---|\n");
    }
    for field in fields {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            field.name,
            field.form.as_str(),
            field.described()
        );
    }
}

/// The answers of an operation, in one line.
fn answers(verb: &Verb, types: &mut SchemaGenerator) -> String {
    let mut kind = |shape: Shape| kind_of(shape(types).as_value());
    let of = |gives: &Gives| match *gives {
        Gives::Nothing => "204".to_owned(),
        Gives::Data(shape) => format!("200 {}", kind(shape)),
        Gives::OnTop(shape) => format!("200 {} *on top*", kind(shape)),
        Gives::Credential => "200 a credential, by the provider's schema, and its lease".to_owned(),
        Gives::Accepted(shape) => format!("202 {}", kind(shape)),
        Gives::Token => "200 with [Auth](#auth)".to_owned(),
        Gives::Wrapped => "200 with [WrapInfo](#wrapinfo)".to_owned(),
        Gives::Opened => "200 the answer that was wrapped".to_owned(),
        Gives::Bare(shape) => format!("200 {} without an envelope", kind(shape)),
        Gives::AtWill(_) => "the same with the status that the request chose".to_owned(),
        Gives::Bytes(kind) => format!("200 `{kind}`"),
    };
    let gives: Vec<_> = verb.gives.iter().map(of).collect();
    let mut refuses: Vec<_> = verb.own_refusals().collect();
    refuses.sort_unstable();
    refuses.dedup();
    let refuses: Vec<_> = refuses.iter().map(u16::to_string).collect();
    match refuses.is_empty() {
        true => format!("{}.", gives.join(", or ")),
        false => format!(
            "{}; refuses with {}.",
            gives.join(", or "),
            refuses.join(", ")
        ),
    }
}

/// All types that answers hold, by name.
fn add_types(text: &mut String, mut types: SchemaGenerator) {
    text.push_str("\n## Fields of answers\n");
    let mut types: Vec<_> = types.take_definitions(true).into_iter().collect();
    types.sort_by(|(one, _), (another, _)| one.cmp(another));
    for (name, schema) in types {
        let about = schema["description"].as_str().unwrap_or_default();
        let _ = write!(text, "\n### {name}\n\n{}\n", about.replace('\n', " "));
        text.push_str("\n| field | | |\n|---|---|---|\n");
        let fields = schema["properties"].as_object().into_iter().flatten();
        for (field, within) in fields {
            let about = within["description"].as_str().unwrap_or_default();
            let kind = kind_of(within);
            let _ = writeln!(
                text,
                "| `{field}` | {kind} | {} |",
                about.replace('\n', " ")
            );
        }
        if !schema["additionalProperties"].is_null() {
            text.push_str("| … | any | Further fields of the provider. |\n");
        }
    }
}

/// The type of a value, in words.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().map(|word| format!("`{word}`"));
        return words.collect::<Vec<_>>().join(" or ");
    }
    if let Some(kinds) = schema["anyOf"].as_array() {
        return kinds.iter().map(kind_of).collect::<Vec<_>>().join(" or ");
    }
    let of = |kind: &str| match kind {
        "array" if schema["maxItems"] == 0 => "empty list".to_owned(),
        "array" => format!("list of {}", kind_of(&schema["items"])),
        "object" => match &schema["additionalProperties"] {
            Value::Object(of) if !of.is_empty() => {
                format!(
                    "object of {} by name",
                    kind_of(&schema["additionalProperties"])
                )
            }
            _ => "object".to_owned(),
        },
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => of(kind),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str).map(of);
            kinds.collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

#[test]
fn the_page_of_the_api_has_every_path() {
    assert_page("api.md", &page());
}
