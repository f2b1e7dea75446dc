//! `docs/api.md`, which is made of the table of endpoints and compared with it.

use std::{collections::HashSet, fmt::Write as _};

use lessor_model::login::Kind;

use super::{
    endpoint::{Endpoint, Handler, routes::Shelf},
    table::ROUTES,
};
use crate::testing::page::assert_page;

/// What stands above the paths.
const HEAD: &str = "\
# The API

For those who write clients, policies or scripts: every path, what it does, and the fields
that the host itself reads. It is made of the table that serves the paths; `?help=1` behind
any of them, or `bao path-help`, shows the same of a running server, with the fields of its
providers, and `GET /v1/sys/internal/specs/openapi` all of it as OpenAPI 3.1.

All paths are below `/v1/`. In a path, `:name` stands for one segment and `*name` for one or
more. A write is POST or PUT; a list is LIST, or GET with `?list=true`. What is read or
removed takes its fields in the query, and in the body of a DELETE too. *sudo*: a policy must
grant `sudo` there beside what is done. *open*: no token is needed. A duration is a number of
seconds, or text such as `90s`, `1h30m` or `7d`.

Answers are wrapped as Vault wraps them, in `data`. A refusal is `{\"errors\": [...]}` with one
sentence that names the field and the way out.
";

fn page() -> String {
    let mut text = HEAD.to_owned();
    for (shelf, title, about) in [
        (Shelf::Host, "The server", "Below `/v1/`."),
        (
            Shelf::Provider,
            "A mount",
            "Below the path of a mounted provider, such as `/v1/db/`. Configs, roles, requests and static roles have the \
             fields of the provider's schemas, too: `lessor plugin show` lists them.",
        ),
        (
            Shelf::Login(Kind::AppRole),
            "A login method of the kind approle",
            "Below `/v1/auth/` and its path.",
        ),
        (
            Shelf::Login(Kind::Userpass),
            "A login method of the kind userpass",
            "Below `/v1/auth/` and its path.",
        ),
        (
            Shelf::Login(Kind::Jwt),
            "A login method of the kind jwt",
            "Below `/v1/auth/` and its path.",
        ),
    ] {
        let _ = write!(text, "\n## {title}\n\n{about}\n");
        let shown = ROUTES
            .endpoints(shelf)
            .filter(|it| !it.pattern.starts_with("sys/test/"));
        for endpoint in shown {
            of_endpoint(&mut text, endpoint);
        }
    }
    text
}

fn of_endpoint(text: &mut String, endpoint: &Endpoint) {
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
        let _ = writeln!(text, "- **{}**{marks}: {}", methods.join(", "), verb.about);
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
            field.about
        );
    }
}

#[test]
fn the_page_of_the_api_has_every_path() {
    assert_page("api.md", &page());
}
