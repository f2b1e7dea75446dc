//! `docs/providers.md`: the providers of this repository, as they describe themselves.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lessor_tests::server::{binary, built_plugins, workspace};
use serde_json::Value;

#[path = "../../../host/model/src/page.rs"]
mod page;

/// The facts of a provider that its descriptor does not have.
struct Row {
    name: &'static str,
    leases: &'static str,
    roots: &'static str,
    upstream: &'static str,
}

const ROWS: [Row; 5] = [
    Row {
        name: "aws",
        leases: "users of IAM with an access key; sessions of STS: assumed roles, federation and session tokens; links that sign in to the console",
        roots: "access key (rotated by two keys), session key, web identity (nothing stored), role of the EC2 instance, role of the ECS task or EKS pod; each with a chain of roles and external ids behind it",
        upstream: "moto with authentication on; boto3 logs in",
    },
    Row {
        name: "aws-secrets-manager",
        leases: "reads of secrets of Secrets Manager and of parameters of Parameter Store: all of one, a property, each key, or the tags",
        roots: "those of `aws`",
        upstream: "moto with authentication on; boto3 writes what is read",
    },
    Row {
        name: "certificate",
        leases: "certificates of X.509, with a new key or for a request",
        roots: "the authority's key, made inside lessor or given (rotated)",
        upstream: "none; openssl judges what is leased",
    },
    Row {
        name: "postgres",
        leases: "users of PostgreSQL; passwords of users that exist",
        roots: "user and password (rotated)",
        upstream: "PostgreSQL itself; tokio-postgres logs in",
    },
    Row {
        name: "webhook",
        leases: "what a webhook makes, by the protocol of Akeyless' custom producers",
        roots: "an opaque payload (rotated by the webhook)",
        upstream: "a webhook of the tests' own",
    },
];

/// Parts of the SDK that providers share, and what each is for.
const SHARED: [(&str, &str); 8] = [
    (
        "aws",
        "signatures, both protocols, errors, retries and root credentials of AWS",
    ),
    ("gjson", "paths of gjson into JSON"),
    ("http", "requests and answers"),
    (
        "rotation",
        "a root credential that upstream can hold two of",
    ),
    ("connection", "raw connections, with and without TLS"),
    ("password", "passwords by a policy"),
    ("memo", "tokens kept between calls"),
    ("identity", "tokens that say who the mount is"),
];

#[test]
fn the_page_of_providers_is_what_they_say_of_themselves() {
    let mut page = String::from(
        "# Providers\n\n\
         This page is for those who choose a provider, or judge one. A test writes it: names,\n\
         shapes, privileges and endpoints are those that the built components say of\n\
         themselves; lines are those of the source without its tests, in hundreds.\n\n\
         The end of a lease: `deletes` ends the credential upstream; with `expires-only` it goes\n\
         on to an end of its own; with `none` the lease is a record, and upstream is not touched.\n\n\
         | provider | leases | end of a lease | root credential | upstream in tests | lines |\n\
         |---|---|---|---|---|---|\n",
    );
    let described = described();
    let mut details = String::new();
    for (name, descriptor) in &described {
        let row = ROWS.iter().find(|row| row.name == name);
        let row = row.unwrap_or_else(|| panic!("{name} has no row here"));
        let plugin = workspace().join("plugins").join(name);
        let shape = descriptor["revocation"].as_str().unwrap();
        let _ = writeln!(
            page,
            "| [`{name}`](../plugins/{name}/README.md) | {} | `{shape}` | {} | {} | {} |",
            row.leases,
            row.roots,
            row.upstream,
            hundreds(lines(&plugin.join("src")))
        );
        assert!(plugin.join("README.md").is_file(), "{name} has no README");
        detail(&mut details, name, descriptor);
    }
    page.push_str("\n# Least privilege\n\nUpstream's own words for what the root credential must be allowed to do; failures name\nthe one that is missing. Where upstream has\npolicies, the README of the provider shows a whole one.\n");
    page.push_str(&details);
    page.push_str("\n# What they share\n\nThe SDK has what several providers need, so that each is small.\n\n| module of `lessor-sdk` | for | lines |\n|---|---|---|\n");
    for (module, purpose) in SHARED {
        let source = workspace().join("sdk/src");
        let total = lines(&source.join(module)) + lines(&source.join(format!("{module}.rs")));
        assert!(total > 0, "the SDK has no {module}");
        let _ = writeln!(page, "| `{module}` | {purpose} | {} |", hundreds(total));
    }
    page::assert_page("providers.md", &page);
}

fn detail(text: &mut String, name: &str, descriptor: &Value) {
    let list = |value: &Value| {
        let names = value.as_array().unwrap().iter();
        let names: Vec<String> = names
            .map(|name| format!("`{}`", name.as_str().unwrap()))
            .collect();
        names.join(", ")
    };
    let _ = writeln!(
        text,
        "\n## {name}\n\n{}.",
        descriptor["summary"]
            .as_str()
            .unwrap()
            .trim_end_matches('.')
    );
    let endpoints = list(&descriptor["endpoints"]);
    if !endpoints.is_empty() {
        let _ = writeln!(text, "It wants to reach {endpoints}.");
    }
    let privileges = descriptor["privileges"].as_array().unwrap();
    if privileges.is_empty() {
        let _ = writeln!(text, "It names no privileges.");
        return;
    }
    text.push_str("\n| for | privileges |\n|---|---|\n");
    for privilege in privileges {
        let purpose = privilege["purpose"].as_str().unwrap();
        let _ = writeln!(text, "| {purpose} | {} |", list(&privilege["names"]));
    }
}

/// Names and descriptors of the built providers, sorted.
fn described() -> Vec<(String, Value)> {
    let files = fs::read_dir(built_plugins()).expect("run `cargo xtask test`");
    let files = files.map(|entry| entry.unwrap().path());
    let mut described: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|it| it == "wasm"))
        .map(|file| {
            let descriptor = inspected(&file);
            (descriptor["name"].as_str().unwrap().to_owned(), descriptor)
        })
        .collect();
    described.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!described.is_empty(), "run `cargo xtask test`");
    described
}

fn inspected(file: &Path) -> Value {
    let done = Command::new(binary())
        .args(["plugin", "inspect", "--output", "json"])
        .arg(file)
        .env(
            "LESSOR_TEST_CODE_CACHE",
            binary().with_file_name("test-code-cache"),
        )
        .output()
        .expect("run lessor");
    let whole: Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    whole["descriptor"].clone()
}

/// The lines of a file, or of all below a directory, up to the tests at their end; none where there
/// is nothing.
fn lines(path: &PathBuf) -> usize {
    if let Ok(entries) = fs::read_dir(path) {
        return entries.map(|entry| lines(&entry.unwrap().path())).sum();
    }
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return 0;
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count()
}

/// Rounded, so that not every change of a line is one of the page.
fn hundreds(lines: usize) -> String {
    match lines.div_ceil(50) / 2 {
        0 => "< 100".to_owned(),
        hundreds => format!("{}", hundreds * 100),
    }
}
