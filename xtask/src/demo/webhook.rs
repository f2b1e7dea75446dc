//! The webhook provider: whatever a webhook makes is leased, revoked, and its opaque root
//! replaced by the one that it answers.

use std::path::Path;

use anyhow::{Context, Result};

use super::upstream::Upstream;
use crate::cluster::keep;
use crate::stage::{Claim, Stage, Step};
use crate::workspace::Workspace;

/// The payload with the root credential that the webhook takes at first.
const PAYLOAD: &str = r#"{"type": "target", "user": "root", "password": "first-root"}"#;

/// The steps of this part.
const STEPS: &[Step] = &[
    Step {
        story: "A webhook of three endpoints, as people write them for custom producers.",
        command: "lessor mount add hook --plugin webhook --allow-host $HOOK",
        claim: Claim::Prints(&["mounted at hook"]),
    },
    Step {
        story: "Its root credential is an opaque text. A dry run proves it.",
        command: "lessor config write hook url=$HOOK payload=@payload.json",
        claim: Claim::Prints(&["config of hook is proven and kept"]),
    },
    Step {
        story: "A role, for an hour.",
        command: "lessor role write hook app default_ttl=1h max_ttl=24h",
        claim: Claim::Prints(&["role app"]),
    },
    Step {
        story: "The webhook makes a credential, and lessor keeps its clock.",
        command: "lessor creds hook app --save lease_id=hook.lease",
        claim: Claim::Prints(&["lease_id is in hook.lease"]),
    },
    Step {
        story: "It is there,",
        command: COUNT,
        claim: Claim::Answers("1"),
    },
    Step {
        story: "until the lease is ended.",
        command: "lessor lease revoke $(cat hook.lease)",
        claim: Claim::Prints(&["is revoked"]),
    },
    Step {
        story: "Nothing is left behind.",
        command: COUNT,
        claim: Claim::Answers("0"),
    },
    Step {
        story: "The webhook rotates its root; the answer takes the former payload's place.",
        command: "lessor rotate hook",
        claim: Claim::Prints(&["root credential of hook is replaced"]),
    },
];

/// How many credentials the webhook has.
const COUNT: &str = "python -c 'import json, os, urllib.request as r; \
                     print(len(json.load(r.urlopen(os.environ[\"HOOK\"] + \"/state\"))[\"credentials\"]))'";

/// Plays this part, with a webhook of its own.
pub(super) fn tell(workspace: &Workspace, stage: &mut Stage, python: &Path) -> Result<()> {
    let (_webhook, line) = Upstream::start(workspace, stage, python, "webhook.py")?;
    let origin = line.strip_prefix("listening on ").context("no address")?;
    stage.scratch.set("HOOK", origin);
    keep(&stage.directory().join("payload.json"), PAYLOAD)?;
    stage.perform(STEPS)
}
