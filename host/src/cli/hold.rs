//! `lessor hold` and `lessor release`: lists the work that a restored copy holds back, and lets
//! it go on.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::Session;

/// The page of the overdue work to show.
#[derive(Debug, Args)]
pub struct Hold {
    /// Begin behind the place that an earlier page gave as next
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// Largest number of rows
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

/// The mounts that go on.
#[derive(Debug, Args)]
pub struct Release {
    /// The mount's path; all mounts where none is named
    mount: Option<String>,
}

impl Session<'_, '_> {
    pub(super) fn hold(&mut self, hold: &Hold) -> Result<()> {
        let mut query = format!("?limit={}", hold.limit);
        if let Some(after) = &hold.after {
            query.push_str(&format!("&after={after}"));
        }
        let answer = self.client.get_with("sys/hold", &query)?;
        let list = |name: &str| -> Vec<Value> {
            let items = answer.data().get(name).and_then(Value::as_array);
            items.cloned().unwrap_or_default()
        };
        let mounts = list("mounts");
        for mount in &mounts {
            let text = |name: &str| mount.get(name).and_then(Value::as_str).unwrap_or("?");
            let counts = mount.get("overdue").and_then(Value::as_object);
            let counts: Vec<String> = counts
                .into_iter()
                .flatten()
                .map(|(kind, count)| format!("{kind} {count}"))
                .collect();
            self.console.note(&format!(
                "mount {} is held since {}; overdue: {}",
                text("mount"),
                text("since"),
                counts.join(", ")
            ));
        }
        if mounts.is_empty() {
            self.console.note("no mount is held");
        }
        self.show_rows(&answer, &["kind", "mount", "name", "due"], &list("overdue"))?;
        if let Some(next) = answer.data().get("next").and_then(Value::as_str) {
            self.console.note(&format!("there is more: --after {next}"));
        }
        Ok(())
    }

    pub(super) fn release(&mut self, release: &Release) -> Result<()> {
        let body = match &release.mount {
            Some(mount) => json!({ "mount": mount }),
            None => json!({}),
        };
        let answer = self.client.post("sys/hold/release", &body)?;
        self.warnings(&answer);
        let released = answer.data().get("released").and_then(Value::as_array);
        for mount in released.into_iter().flatten().filter_map(Value::as_str) {
            self.console.note(&format!(
                "mount {mount} goes on: what is overdue is done now"
            ));
        }
        Ok(())
    }
}
