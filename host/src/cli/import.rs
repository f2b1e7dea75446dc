//! `lessor import dynamic`: takes along what people have in other systems, as the JSON files
//! that these systems' own command lines take: BeyondTrust's providers and account
//! definitions, Akeyless' dynamic secrets. Each becomes a mount with its config and a role.
//!
//! It may be run again: what stands as the files have it stays, and of what differs the
//! fields that differ are written. A root credential that stands stays in any case: it may
//! have been rotated since, and then nobody else has it. What cannot be carried over is told
//! by name.

mod akeyless;
mod beyondtrust;
mod fields;
mod plan;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use lessor_model::id::MountPath;
use serde_json::{Map, Value, json};

use self::plan::{Lost, Plan};
use super::Session;
use super::client::ClientError;
use super::console::Console;
use super::output::{self, Format};
use super::values::{Body, Given, Source, Word, WordParser};

/// What can be taken along.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Definitions of dynamic secrets: of BeyondTrust (providers and account definitions) and
    /// of Akeyless (custom and PostgreSQL producers), names of fields in any case
    Dynamic(Dynamic),
}

/// Files, and where they go.
#[derive(Debug, Args)]
pub struct Dynamic {
    /// JSON files with a definition or a list of them, or - for standard input; account
    /// definitions stand behind their provider
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A field of the provider or producer, such as a secret that its file does not have, by
    /// the name that it has there: NAME=@FILE, NAME=- for standard input, or NAME=VALUE.
    /// Repeat for more. A root credential that stands is not written over
    #[arg(long, value_name = "NAME=VALUE", value_parser = WordParser)]
    set: Vec<Word>,
    /// Print what would be done, as commands, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The mount of account definitions whose provider is in none of the files, and of a
    /// single provider or producer that is to have another name
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,
    /// The audience of the token that shows imported webhooks which mount calls
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
}

impl Session<'_, '_> {
    pub(super) fn import(&mut self, verb: Verb) -> Result<()> {
        let Verb::Dynamic(dynamic) = verb;
        let plans = planned(&dynamic, self.console)?;
        if dynamic.dry_run {
            let shown = match self.format {
                Format::Json => output::json(&plans.iter().map(Plan::shown).collect()),
                Format::Table => plans.iter().map(Plan::commands).collect(),
            };
            return self.console.data(&shown);
        }
        let mut rows = Vec::new();
        for plan in &plans {
            let done = match self.carry_out(plan) {
                Ok(done) => done,
                Err(error) => {
                    // The definitions before this one are carried over, and shown.
                    self.imported(rows)?;
                    return Err(error.context(format!("{} is not carried over", plan.source)));
                }
            };
            for Lost { field, why } in &plan.lost {
                self.console.note(&format!(
                    "not carried over of {}: {field}: {why}",
                    plan.source
                ));
            }
            rows.push(done);
        }
        self.imported(rows)
    }

    fn imported(&mut self, rows: Vec<Value>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let shown = match self.format {
            Format::Json => output::json(&Value::from(rows)),
            Format::Table => output::rows(&["source", "mount", "config", "role"], &rows),
        };
        self.console.data(&shown)
    }

    /// Makes what a plan says, as far as it is not there; what became of it. A mount that was
    /// made for what is refused goes again.
    fn carry_out(&mut self, plan: &Plan) -> Result<Value> {
        let mut done = Map::from_iter([("source".to_owned(), json!(plan.source))]);
        let became = match plan.plugin {
            Some(plugin) => Some(self.have_mount(plan, plugin)?),
            None => None,
        };
        if let Some(became) = became {
            let mount = format!("{} {became}", plan.mount);
            done.insert("mount".to_owned(), mount.into());
        }
        let within = self.have_within(plan);
        // Nobody has leased there. A root credential that was rotated at once would be lost with
        // the mount; but what rotates at once has no role that could be refused after that.
        if became == Some(MADE) && within.as_ref().is_err_and(was_refused) {
            self.unmake(plan)?;
        }
        done.extend(within?);
        Ok(done.into())
    }

    /// The config and the roles of a mount that is there.
    fn have_within(&mut self, plan: &Plan) -> Result<Map<String, Value>> {
        let Plan { mount, roles, .. } = plan;
        let mut done = Map::new();
        if plan.plugin.is_some() {
            let became = self.have(&format!("{mount}/config"), &plan.config)?;
            if became == CHANGED {
                self.console.note(&format!(
                    "the root credential of {mount} stays as it is; `lessor config write {mount}` writes another one"
                ));
            }
            done.insert("config".to_owned(), became.into());
        }
        for (name, role) in roles {
            let path = format!("{mount}/roles/{name}");
            let became = self.have(&path, role)?;
            done.insert("role".to_owned(), format!("{path} {became}").into());
        }
        Ok(done)
    }

    fn have_mount(&mut self, plan: &Plan, plugin: &str) -> Result<&'static str> {
        let path = format!("sys/mounts/{}", plan.mount);
        let stands = match self.client.get(&path) {
            Ok(answer) => Some(answer.data()["type"].clone()),
            Err(
                ClientError::Missing { .. }
                | ClientError::Refused {
                    status: 400 | 404, ..
                },
            ) => None,
            Err(error) => return Err(error.into()),
        };
        match stands {
            Some(Value::String(other)) if other != plugin => bail!(
                "at {} is a mount of {other} already; give another path by --mount",
                plan.mount
            ),
            Some(_) => {
                self.have(&format!("{path}/tune"), &plan.tune)?;
                Ok(STOOD)
            }
            None => {
                let mut tune = plan.tune.clone();
                let mut body = Map::from_iter([("type".to_owned(), plugin.into())]);
                if let Some(description) = tune.remove("description") {
                    body.insert("description".into(), description);
                }
                body.insert("config".into(), tune.into());
                self.write(&path, &body.into())?;
                Ok(MADE)
            }
        }
    }

    /// Writes what is not there, and of what is there the fields that differ. Where it cannot
    /// be seen which of the two it is, nothing is written: it might be a root credential that
    /// was rotated.
    fn have(&mut self, path: &str, wanted: &Map<String, Value>) -> Result<&'static str> {
        let (body, became) = match self.client.get(path) {
            Ok(answer) => (plan::changes(wanted, answer.data()), CHANGED),
            Err(ClientError::Missing { .. } | ClientError::Refused { status: 404, .. }) => {
                (wanted.clone(), MADE)
            }
            Err(error) => return Err(error.into()),
        };
        if became == CHANGED && body.is_empty() {
            return Ok(STOOD);
        }
        self.write(path, &body.into())?;
        Ok(became)
    }

    /// Takes a mount away again that was made for what is refused.
    fn unmake(&mut self, plan: &Plan) -> Result<()> {
        let path = format!("sys/mounts/{}", plan.mount);
        let lifted = json!({"delete_protection": false});
        self.client.post(&format!("{path}/tune"), &lifted)?;
        self.client.delete(&path, "")?;
        Ok(())
    }
}

const MADE: &str = "made";
const STOOD: &str = "stood";
const CHANGED: &str = "changed";

/// Whether the server said no, so that nothing was done.
fn was_refused(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<ClientError>();
    matches!(error, Some(ClientError::Refused { .. }))
}

/// The plans of all files, in their order.
fn planned(dynamic: &Dynamic, console: &mut Console<'_>) -> Result<Vec<Plan>> {
    if inputs(dynamic) > 1 {
        bail!("standard input can be taken for one file or value only");
    }
    let mut given = Body::of(dynamic.set.clone()).read(console)?;
    let mut plans: Vec<Plan> = Vec::new();
    for file in &dynamic.files {
        let (shown, text) = match file.as_os_str() == "-" {
            true => ("standard input".to_owned(), Source::Input.read(console)?),
            false => (
                file.display().to_string(),
                Source::File(file.clone()).read(console)?,
            ),
        };
        // serde_json names line and column, and does not quote the text, which holds secrets.
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))?;
        let definitions = match value {
            Value::Array(definitions) => definitions,
            one => vec![one],
        };
        for (index, definition) in definitions.into_iter().enumerate() {
            let plan = read(definition, dynamic, &mut given, &plans)
                .with_context(|| format!("{shown}, definition {}", index + 1))?;
            plans.push(plan);
        }
    }
    let named = plans.iter().filter(|plan| plan.plugin.is_some()).count();
    for (option, is_given) in [
        ("--mount", dynamic.mount.is_some()),
        ("--set", !dynamic.set.is_empty()),
    ] {
        if is_given && named > 1 {
            bail!("{option} is for one mount, and the files define {named}");
        }
    }
    if let Some(name) = given.keys().next() {
        bail!("--set {name} is for a provider or producer, and the files define none");
    }
    for (index, plan) in plans.iter().enumerate() {
        let others = plans.iter().take(index);
        if let Some((other, what)) = others
            .filter_map(|other| Some((other, plan.is_at(other)?)))
            .next()
        {
            bail!(
                "{} and {} both become {what}: give one of them another name, or import it by itself with --mount",
                other.source,
                plan.source
            );
        }
    }
    Ok(plans)
}

/// How often standard input is read.
fn inputs(dynamic: &Dynamic) -> usize {
    let files = dynamic.files.iter().filter(|file| file.as_os_str() == "-");
    let words = dynamic.set.iter().filter(|word| {
        matches!(
            word,
            Word::Whole(Source::Input) | Word::Field(_, Given::From(Source::Input))
        )
    });
    files.count() + words.count()
}

/// `given` are the fields that the first mount gets besides those of its definition.
fn read(
    definition: Value,
    dynamic: &Dynamic,
    given: &mut Map<String, Value>,
    plans: &[Plan],
) -> Result<Plan> {
    let Value::Object(members) = definition else {
        bail!("a definition is a JSON object");
    };
    let mut fields = fields::Fields::of(members)?;
    if beyondtrust::kind(&fields) != Some(beyondtrust::Kind::AwsPolicy) {
        fields.set(std::mem::take(given));
    }
    let mut plan = if let Some(kind) = beyondtrust::kind(&fields) {
        let above = plans.iter().rev().find(|plan| plan.plugin.is_some());
        let above = above.map(|plan| plan.mount.as_str());
        beyondtrust::plan(kind, &mut fields, above.or(dynamic.mount.as_deref()))?
    } else if let Some(kind) = akeyless::kind(&fields) {
        akeyless::plan(kind, &mut fields, dynamic.audience.as_deref())?
    } else {
        bail!(
            "this is no definition that is known: a provider or account definition of BeyondTrust has `type` \
             (AWS, AwsPolicy), a dynamic secret of Akeyless `create-sync-url` or `postgresql-…`"
        );
    };
    if let (Some(mount), Some(_)) = (&dynamic.mount, plan.plugin) {
        plan.mount.clone_from(mount);
    }
    plan.mount = plan.mount.parse::<MountPath>()?.to_string();
    plan.lose_rest(&mut fields);
    Ok(plan)
}

#[cfg(test)]
mod tests;
