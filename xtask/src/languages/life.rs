//! The life of a provider, as the examples' READMEs tell it: the same in every
//! language, but for the commands that build it.

use std::path::{Path, PathBuf};

use crate::stage::{Claim, Step};

/// An example in another language.
pub(super) struct Language {
    pub(super) name: &'static str,
    /// Its folder below `examples`.
    pub(super) folder: &'static str,
    /// From sources to a component.
    pub(super) build: &'static [&'static str],
    /// Built with the same tools, and no part of its README.
    pub(super) beside: &'static [&'static str],
    pub(super) component: &'static str,
    /// Before anybody pins it.
    pub(super) check: &'static [Step],
    /// With a server.
    pub(super) life: &'static [Step],
}

impl Language {
    /// Its copy below the directory for all of them.
    pub(super) fn directory(&self, all: &Path) -> PathBuf {
        all.join("examples").join(self.folder)
    }
}

/// Starts the server, in an example's folder.
pub(super) const SERVER: &str = "lessor server --dev --dev-root-token-id demo --plugin-dir plugins";

/// The check of a provider that keeps the contract.
macro_rules! check {
    ($name:literal, $extra:literal) => {
        &[
            Step {
                story: "The config of a mount, for the toy upstream.",
                command: "printf '{\"url\": \"%s\", \"token\": \"toy-token\"}' $UPSTREAM > config.json",
                claim: Claim::Prints(&[]),
            },
            Step {
                story: "In the real sandbox, and without a server, it keeps every rule of the contract.",
                command: concat!(
                    "lessor plugin check ", $name, ".wasm --config config.json --allow-host $UPSTREAM"
                ),
                claim: Claim::Prints(&[
                    "two-creates-differ  passed",
                    "revoke-lost-answer  passed",
                    $extra,
                    " 0 failed",
                ]),
            },
            Step {
                story: "What it made is gone.",
                command: "curl -fsS -H 'authorization: Bearer toy-token' $UPSTREAM/accounts",
                claim: Claim::Answers("[]"),
            },
            Step {
                story: "A place for what may run.",
                command: "mkdir plugins",
                claim: Claim::Prints(&[]),
            },
        ]
    };
}

/// Everything that a lease goes through, and the steps of one language more.
macro_rules! life {
    ($name:literal, [$($more:expr),*]) => {
        &[
            Step {
                story: "Its digest is pinned: these bytes may run, and no others.",
                command: concat!("cp ", $name, ".wasm plugins/ && lessor plugin pin ", $name, " ", $name, ".wasm"),
                claim: Claim::Prints(&["is pinned to sha256"]),
            },
            Step {
                story: "It is mounted, with a grant for its upstream.",
                command: concat!("lessor mount add ", $name, " --plugin ", $name, " --allow-host $UPSTREAM"),
                claim: Claim::Prints(&["is mounted at"]),
            },
            Step {
                story: "A root credential that upstream does not know is refused by the class of the\n\
                        provider's failure,",
                command: concat!("printf another-token | lessor config write ", $name, " url=$UPSTREAM token=-"),
                claim: Claim::Fails("answered 401"),
            },
            Step {
                story: "and the right one is proven and kept.",
                command: concat!("printf toy-token | lessor config write ", $name, " url=$UPSTREAM token=-"),
                claim: Claim::Prints(&["is proven and kept"]),
            },
            Step {
                story: "It is shown to nobody, for its field is marked as secret.",
                command: concat!("lessor config show ", $name),
                claim: Claim::Prints(&["<redacted>"]),
            },
            Step {
                story: "A role says how long a lease lives.",
                command: concat!("lessor role write ", $name, " reader default_ttl=1h max_ttl=24h"),
                claim: Claim::Prints(&["role reader"]),
            },
            Step {
                story: "An account is leased. Its password goes into a file that only you can read.",
                command: concat!(
                    "lessor creds ", $name,
                    " reader --save username=username --save password=password --save lease_id=lease"
                ),
                claim: Claim::Prints(&["password is in password"]),
            },
            Step {
                story: "Upstream lets it in.",
                command: "curl -fsS -u \"$(cat username):$(cat password)\" $UPSTREAM/login",
                claim: Claim::Answers("null"),
            },
            $($more,)*
            Step {
                story: "The root token is replaced by one that nobody has seen.",
                command: concat!("lessor rotate ", $name),
                claim: Claim::Prints(&["is replaced"]),
            },
            Step {
                story: "The former one is worth nothing now,",
                command: "curl -fsS -H 'authorization: Bearer toy-token' $UPSTREAM/accounts",
                claim: Claim::Fails("401"),
            },
            Step {
                story: "and the account outlives it, until the lease is revoked.",
                command: "curl -fsS -u \"$(cat username):$(cat password)\" $UPSTREAM/login",
                claim: Claim::Answers("null"),
            },
            Step {
                story: "The lease is ended before its time,",
                command: "lessor lease revoke $(cat lease)",
                claim: Claim::Prints(&["is revoked"]),
            },
            Step {
                story: "and upstream knows the account no more.",
                command: "curl -fsS -u \"$(cat username):$(cat password)\" $UPSTREAM/login",
                claim: Claim::Fails("401"),
            },
        ]
    };
}

const PYTHON: Language = Language {
    name: "Python",
    folder: "python-provider",
    build: &[
        "python3 -m venv .venv",
        ".venv/bin/pip install --quiet --requirement requirements.txt",
        ".venv/bin/componentize-py -d ../../wit/v1 -d wit -w example:accounts/accounts componentize -p src provider -o accounts-py.wasm",
    ],
    beside: &[],
    component: "accounts-py.wasm",
    check: check!("accounts-py", "renew               passed"),
    life: life!(
        "accounts-py",
        [
            Step {
                story: "When it ends is known upstream,",
                command: "curl -fsS -H 'authorization: Bearer toy-token' $UPSTREAM/accounts/$(cat username) | tee before",
                claim: Claim::Prints(&["expires_at"]),
            },
            Step {
                story: "and a renewal",
                command: "lessor lease renew $(cat lease) --increment 8h",
                claim: Claim::Prints(&["8h"]),
            },
            Step {
                story: "moves that end there too.",
                command: "curl -fsS -H 'authorization: Bearer toy-token' $UPSTREAM/accounts/$(cat username) | diff before - || echo moved",
                claim: Claim::Prints(&["moved"]),
            }
        ]
    ),
};

const JAVASCRIPT: Language = Language {
    name: "JavaScript",
    folder: "javascript-provider",
    build: &["npm install", "npm run build"],
    // QuickJS freezes the state of `Math.random()` into the component.
    beside: &[
        "node_modules/.bin/componentize-qjs --wit ../../wit/v1 --js frozen.js --world provider-plugin --sync --output frozen.wasm",
    ],
    component: "accounts-js.wasm",
    check: check!("accounts-js", "renew               skipped"),
    life: life!("accounts-js", []),
};

/// All of them.
pub(super) const BOTH: [Language; 2] = [PYTHON, JAVASCRIPT];

/// A provider whose fault the check must find.
pub(super) const FROZEN: [Step; 1] = [Step {
    story: "QuickJS starts every instance from the same state of `Math.random()`: two leases\n\
            would have one password. The check says so.",
    command: "lessor plugin check frozen.wasm --config '{}'",
    claim: Claim::Fails(
        "two-creates-differ  failed   two operations gave the same secret in password",
    ),
}];
