//! The config of a mount: the account of AWS, the root credential, and where the services are.

use lessor_sdk::aws_config;
use lessor_sdk::prelude::*;

aws_config! {
    /// An account of AWS whose secrets are read, and the way to the root credential: an
    /// access key, or nothing that is stored (`identity_token_audience`,
    /// `instance_credentials`, `container_credentials_url`).
    pub struct Config {
        /// The URL of Secrets Manager, where it is not that of the region.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub secretsmanager_endpoint: Option<String>,
        /// The URL of Parameter Store (Systems Manager), where it is not that of the region.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ssm_endpoint: Option<String>,
    }
}
