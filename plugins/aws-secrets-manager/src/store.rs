//! The two services: how each is asked, and what it refuses, as a sentence.

use std::collections::BTreeMap;

use lessor_sdk::aws::{AwsError, Client, Kind};
use lessor_sdk::prelude::*;
use serde_json::{Value, json};

use crate::payload::Payload;
use crate::question::Question;
use crate::role::StoreKind;

/// A service of a region, as one key sees it.
pub(crate) struct Store<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) kind: StoreKind,
    pub(crate) region: &'a str,
}

impl Store<'_> {
    /// What the service has.
    pub(crate) fn ask(&self, asked: &Question) -> Result<Payload> {
        let answer = match (self.kind, asked.is_of_tags) {
            (StoreKind::SecretsManager, false) => self.secret(asked),
            (StoreKind::SecretsManager, true) => {
                let body = json!({"SecretId": asked.key});
                let answer = self.client.json("secretsmanager.DescribeSecret", &body);
                answer.map(|answer| of_tags(answer.get("Tags")))
            }
            (StoreKind::ParameterStore, false) => self.parameter(asked),
            (StoreKind::ParameterStore, true) => {
                let body = json!({"ResourceType": "Parameter", "ResourceId": asked.key});
                let answer = self.client.json("AmazonSSM.ListTagsForResource", &body);
                answer.map(|answer| of_tags(answer.get("TagList")))
            }
        };
        answer.map_err(|error| self.explained(error, asked))
    }

    fn secret(&self, asked: &Question) -> Result<Payload, AwsError> {
        let version = asked.version.as_deref().unwrap_or("AWSCURRENT");
        let body = match version.strip_prefix("uuid/") {
            Some(id) => json!({"SecretId": asked.key, "VersionId": id}),
            None => json!({"SecretId": asked.key, "VersionStage": version}),
        };
        let answer = self.client.json("secretsmanager.GetSecretValue", &body)?;
        Ok(Payload {
            text: text(&answer, "SecretString").map(Secret::new),
            binary: text(&answer, "SecretBinary").map(Secret::new),
            version: text(&answer, "VersionId").map(str::to_owned),
        })
    }

    fn parameter(&self, asked: &Question) -> Result<Payload, AwsError> {
        let name = match &asked.version {
            Some(version) => format!("{}:{version}", asked.key),
            None => asked.key.clone(),
        };
        let body = json!({"Name": name, "WithDecryption": true});
        let answer = self.client.json("AmazonSSM.GetParameter", &body)?;
        let version = answer.pointer("/Parameter/Version");
        let value = answer.pointer("/Parameter/Value");
        Ok(Payload {
            text: value.and_then(Value::as_str).map(Secret::new),
            binary: None,
            version: version.map(Value::to_string),
        })
    }

    /// A refusal, by what the caller asked for.
    fn explained(&self, error: AwsError, asked: &Question) -> Failure {
        let Some(refused) = error.refused() else {
            return error.into();
        };
        let (key, region) = (&asked.key, self.region);
        let kind = match self.kind {
            StoreKind::SecretsManager => "secret",
            StoreKind::ParameterStore => "parameter",
        };
        let said = refused.message.to_ascii_lowercase();
        // AWS has said both, by several codes.
        if ["marked for deletion", "marked deleted"]
            .iter()
            .any(|words| said.contains(words))
        {
            let sentence = format!(
                "The {kind} {key:?} of {region} is marked for deletion: restore it, or name another one."
            );
            return Failure::not_found("secret_marked_for_deletion", sentence);
        }
        let is_of_version =
            refused.code == "ParameterVersionNotFound" || said.contains("secret value");
        if refused.kind() == Kind::NotFound && is_of_version {
            let version = asked.version.as_deref().unwrap_or("AWSCURRENT");
            let sentence = format!("The {kind} {key:?} of {region} has no version {version:?}.");
            return Failure::not_found("version_not_found", sentence);
        }
        let is_of_tags = asked.is_of_tags && refused.code == "InvalidResourceId";
        if refused.kind() == Kind::NotFound || is_of_tags {
            let sentence = format!("There is no {kind} {key:?} in {region}.");
            return Failure::not_found("secret_not_found", sentence);
        }
        let is_of_kms = refused.kind() == Kind::Denied && said.contains("kms");
        if is_of_kms || ["DecryptionFailure", "InvalidKeyId"].contains(&refused.code.as_str()) {
            let sentence = format!(
                "AWS does not decrypt the {kind} {key:?} of {region} ({}): allow kms:Decrypt on its key, and look whether that key is enabled.",
                refused.code
            );
            return Failure::denied("kms_denied", sentence);
        }
        Failure::from(error).while_doing(format!("The {kind} {key:?} of {region} cannot be read"))
    }
}

/// Tags as JSON, in which a property is looked for as in a secret.
fn of_tags(tags: Option<&Value>) -> Payload {
    let tags = tags.and_then(Value::as_array).into_iter().flatten();
    let tags: BTreeMap<&str, &str> = tags
        .filter_map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?)))
        .collect();
    Payload {
        text: Some(Secret::new(json!(tags).to_string())),
        binary: None,
        version: None,
    }
}

fn text<'a>(answer: &'a Value, field: &str) -> Option<&'a str> {
    answer.get(field).and_then(Value::as_str)
}
