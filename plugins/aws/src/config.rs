//! The config of a mount, which the operator writes once: the account, and the root credential.

use lessor_sdk::aws::{Root, RootConfig, given};
use lessor_sdk::aws_config;
use lessor_sdk::prelude::*;

aws_config! {
    /// An account of AWS, and the way to the root credential: an access key, or nothing that
    /// is stored (`identity_token_audience`, `instance_credentials`,
    /// `container_credentials_url`).
    pub struct Config {
        /// The URL of the sign-in page, where it is not that of the partition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub signin_endpoint: Option<String>,
        /// The path below which `list-credentials` looks for users, where roles have a
        /// `user_path` of their own: `/`, or what all of them begin with. Users of
        /// other paths are then told by their tags, one request each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub inventory_path: Option<String>,
        /// A template of Go, as Vault has it, is not evaluated: name users by `name_template`
        /// of a role.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub username_template: Option<String>,
    }
}

impl Config {
    /// The way to the root credential, once the config has been looked through.
    pub(crate) fn way(&self) -> Result<Root> {
        let root = self.root()?;
        let refuse = |code: &str, sentence: String| Failure::invalid_config(code, sentence);
        if given(&self.username_template).is_some() {
            return Err(refuse(
                "username_template_unsupported",
                "config.username_template is a template of Go, which lessor does not evaluate: leave it out, and write name_template of a role, such as \"vault-{mount:8}-{role:8}-{random}\".".to_owned(),
            ));
        }
        if let Some(path) = self.inventory_path() {
            check_path("config.inventory_path", path)?;
        }
        Ok(root)
    }

    pub(crate) fn signin_endpoint(&self) -> Option<&str> {
        given(&self.signin_endpoint)
    }

    pub(crate) fn inventory_path(&self) -> Option<&str> {
        given(&self.inventory_path)
    }
}

/// Refuses what IAM takes for no path.
pub(crate) fn check_path(field: &str, path: &str) -> Result<()> {
    let fits = |c: char| ('!'..='\u{7e}').contains(&c);
    let is_path = path.starts_with('/') && path.ends_with('/') && path.len() <= 512;
    if is_path && path.chars().all(fits) {
        return Ok(());
    }
    let sentence = format!(
        "{field} is no path of IAM: it begins and ends with a slash, as /teams/data/ does."
    );
    Err(Failure::invalid_config("path_invalid", sentence))
}
