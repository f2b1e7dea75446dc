//! Tables of configurations and their outcomes.

use std::io::Write as _;

use super::*;
use crate::testing::page::assert_page;

fn load(file: &str, variables: &[(&str, &str)], args: ServerArgs) -> Result<Config, String> {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let args = ServerArgs {
        config: Some(written.path().to_owned()),
        ..args
    };
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(&args, variables, None).map_err(|error| error.to_string())
}

#[test]
fn the_documented_file_is_understood() {
    let config = load(
        r#"
        listen     = "127.0.0.1:8300"
        data_dir   = "/var/lib/x"
        plugin_dir = "/etc/x"
        [seal]
        type = "file"
        [tls]
        cert = "server.pem"
        key  = "server.key"
        [audit]
        file = "stdout"
        [limits]
        body_bytes = 100
        requests_per_second = 5
        [tokens]
        root_children = false
        [sandbox]
        memory = 134217728
        [[plugin]]
        name = "postgres"
        file = "postgres.wasm"
        sha256 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "#,
        &[],
        ServerArgs::default(),
    )
    .unwrap();
    assert_eq!(config.listen, "127.0.0.1:8300");
    assert_eq!(config.seal_file, Path::new("/var/lib/x/root.key"));
    assert_eq!(config.audit, AuditTarget::Stdout);
    assert_eq!(
        (config.limits.body_bytes, config.limits.requests_per_second),
        (100, 5)
    );
    assert!(!config.tokens.root_children && TokenRules::default().root_children);
    assert_eq!(
        (config.sandbox.memory, config.sandbox.connections),
        (128 << 20, 32)
    );
    assert_eq!(config.plugins[0].name, "postgres");
    assert_eq!(config.tls.unwrap().cert, Path::new("server.pem"));
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let config = load(
        "listen = \"file:1\"\ndata_dir = \"/file\"\nplugin_dir = \"/file\"",
        &[
            ("LESSOR_LISTEN", "variable:1"),
            ("LESSOR_DATA_DIR", "/variable"),
            ("LESSOR_LIMITS_BODY_BYTES", "7"),
            ("LESSOR_ALLOW_PLAIN_HTTP", "true"),
            ("LESSOR_LOG_FORMAT", "json"),
            ("LESSOR_TLS_CERT", "c"),
            ("LESSOR_TLS_KEY", "k"),
            ("LESSOR_PLUGIN", "[{name = \"a\", file = \"a.wasm\", sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"}]"),
            ("LESSOR_TOKEN", "not for the server"),
            ("HOME", "/"),
        ],
        ServerArgs { listen: Some("flag:1".into()), ..ServerArgs::default() },
    )
    .unwrap();
    assert_eq!(config.listen, "flag:1");
    assert_eq!(config.data_dir, Path::new("/variable"));
    assert_eq!(config.plugin_dir, Path::new("/file"));
    assert_eq!(config.limits.body_bytes, 7);
    assert!(config.allow_plain_http);
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.plugins.len(), 1);
    assert!(config.tls.is_some() && config.warnings.is_empty());
}

#[test]
fn a_mistake_is_one_sentence_that_names_the_key() {
    for (file, variables, expected) in [
        (
            "listn = \"x\"",
            vec![],
            "configuration: listn is not known: did you mean \"listen\"?",
        ),
        (
            "[limit]\nbody_bytes = 1",
            vec![],
            "configuration: limit is not known: did you mean \"limits\"?",
        ),
        (
            "[limits]\nbody-byte = 1",
            vec![],
            "configuration: limits.body-byte is not known: did you mean \"body_bytes\"?",
        ),
        (
            "[[plugin]]\nsha = \"x\"",
            vec![],
            "configuration: plugin.sha is not known: known are name, version, file, sha256",
        ),
        (
            "limits = 1",
            vec![],
            "configuration: limits must be a table",
        ),
        (
            "[limits]\nbody_bytes = 0",
            vec![],
            "configuration: limits.body_bytes must be more than 0",
        ),
        (
            "[sandbox]\nplugin_calls = 0",
            vec![],
            "configuration: sandbox.plugin_calls must be from 1 to 4096, not 0",
        ),
        (
            "[seal]\ntype = \"shares\"",
            vec![],
            "configuration: seal.type must be \"file\": the root key is read from seal.file",
        ),
        (
            "[[plugin]]\nname = \"a\"\nfile = \"b\"\nsha256 = \"c\"",
            vec![],
            "configuration: [[plugin]] \"a\" has no usable digest",
        ),
        (
            "",
            vec![("LESSOR_LIMITS_BODY_BYTES", "many")],
            "the environment variable LESSOR_LIMITS_BODY_BYTES does not hold a TOML value such as 8, true or [{ … }]",
        ),
    ] {
        assert_eq!(
            load(file, &variables, ServerArgs::default()).unwrap_err(),
            expected
        );
    }
    assert!(
        load("listen = ", &[], ServerArgs::default())
            .unwrap_err()
            .contains("is not TOML")
    );
    assert!(
        load("listen = 1", &[], ServerArgs::default())
            .unwrap_err()
            .contains("string")
    );
}

#[test]
fn a_variable_that_looks_like_a_mistake_is_named_and_a_strange_one_is_not() {
    let config = load(
        "",
        &[
            ("LESSOR_DATADIR", "/x"),
            ("LESSOR_SERVICE_HOST", "10.0.0.1"),
        ],
        ServerArgs::default(),
    )
    .unwrap();
    assert_eq!(
        config.warnings,
        ["the environment variable LESSOR_DATADIR is ignored: did you mean LESSOR_DATA_DIR?"]
    );
}

#[test]
fn plain_http_does_not_leave_the_machine_unasked() {
    let plain = load("", &[], ServerArgs::default()).unwrap();
    let allowed = load("allow_plain_http = true", &[], ServerArgs::default()).unwrap();
    let tls = load(
        "[tls]\ncert = \"c\"\nkey = \"k\"",
        &[],
        ServerArgs::default(),
    )
    .unwrap();
    let dev = load(
        "allow_plain_http = true",
        &[],
        ServerArgs {
            dev: true,
            ..ServerArgs::default()
        },
    )
    .unwrap();
    for (config, address, admitted) in [
        (&plain, "127.0.0.1", true),
        (&plain, "::1", true),
        (&plain, "::ffff:127.0.0.1", true),
        (&plain, "10.0.0.1", false),
        (&plain, "0.0.0.0", false),
        (&plain, "::", false),
        (&allowed, "0.0.0.0", true),
        (&tls, "0.0.0.0", true),
        (&dev, "127.0.0.1", true),
        (&dev, "10.0.0.1", false),
    ] {
        assert_eq!(
            config.admit(address.parse().unwrap()).is_ok(),
            admitted,
            "{address}"
        );
    }
}

#[test]
fn the_least_version_of_tls_is_1_2_or_as_written() {
    let of = |text: &str, variables: &[(&str, &str)]| {
        let file = format!("[tls]\ncert = \"c\"\nkey = \"k\"\n{text}");
        load(&file, variables, ServerArgs::default()).map(|config| config.tls.unwrap().min_version)
    };
    assert_eq!(of("", &[]), Ok(TlsVersion::V1_2));
    assert_eq!(of("min_version = \"1.3\"", &[]), Ok(TlsVersion::V1_3));
    assert_eq!(
        of("", &[("LESSOR_TLS_MIN_VERSION", "1.3")]),
        Ok(TlsVersion::V1_3)
    );
    let refused = of("min_version = \"1.1\"", &[]).unwrap_err();
    for part in ["min_version", "1.1", "`1.2` or `1.3`"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn dev_keeps_everything_in_its_own_directory() {
    let args = ServerArgs {
        dev: true,
        ..ServerArgs::default()
    };
    let config = Config::load(&args, [], Some(Path::new("/tmp/x"))).unwrap();
    assert_eq!(config.data_dir, Path::new("/tmp/x/data"));
    assert_eq!(config.plugin_dir, Path::new("/tmp/x/plugins"));
    assert_eq!(
        config.audit,
        AuditTarget::File(PathBuf::from("/tmp/x/data/audit.jsonl"))
    );
}

/// The page's defaults hold where a key is not set: setting a key to its default changes
/// nothing.
#[test]
fn the_defaults_of_the_page_are_those_of_the_program() {
    let plain = load("", &[], ServerArgs::default()).unwrap();
    for key in &keys::KEYS {
        if key.default.is_empty() || key.default.contains(' ') || key.table == "tls" {
            continue;
        }
        let variable = key.variable();
        let set = load(
            "",
            &[(variable.as_str(), key.default)],
            ServerArgs::default(),
        );
        assert_eq!(
            format!("{:?}", set.unwrap()),
            format!("{plain:?}"),
            "{variable}"
        );
    }
    let tls = "[tls]\ncert = \"a\"\nkey = \"b\"";
    let tls = load(tls, &[], ServerArgs::default()).unwrap().tls.unwrap();
    assert_eq!(tls.min_version, TlsVersion::V1_2);
}

#[test]
fn the_page_of_settings_is_that_of_the_code() {
    let mut page = String::from(
        "# Settings\n\n\
         This page is for those who run a server. It lists every key of the configuration file (TOML,\n\
         `lessor server --config FILE`). Flags win over environment variables, variables over the\n\
         file, and the file over defaults. An unknown key is refused. A test writes this page from the\n\
         code.\n",
    );
    let mut table = None;
    for key in &keys::KEYS {
        if table != Some(key.table) {
            table = Some(key.table);
            let heading = match key.table {
                "" => String::from("At the top"),
                table => format!("`[{table}]`"),
            };
            page.push_str(&format!(
                "\n## {heading}\n\n| key | variable | default | meaning |\n|---|---|---|---|\n"
            ));
        }
        let default = match key.default {
            words if words.is_empty() || words.contains(' ') => words.to_owned(),
            value => format!("`{value}`"),
        };
        page.push_str(&format!(
            "| `{}` | `{}` | {default} | {} |\n",
            key.name,
            key.variable(),
            key.about
        ));
    }
    assert_page("settings.md", &page);
}
