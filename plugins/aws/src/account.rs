//! An account of AWS, as one call of the provider sees it.

use lessor_sdk::aws::{AwsError, Client, Element, Form, Root};
use lessor_sdk::prelude::*;

use crate::config::Config;

/// The account, by the root credential.
pub(crate) struct Account<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) config: &'a Config,
    pub(crate) root: Root,
    pub(crate) iam: Client<'a>,
    pub(crate) sts: Client<'a>,
}

impl<'a> Account<'a> {
    /// Goes the way to the root credential.
    pub(crate) fn open(ctx: &'a Context, config: &'a Config) -> Result<Self> {
        let root = config.root()?;
        let key = root.key(ctx)?;
        Ok(Self {
            ctx,
            config,
            iam: Client::new(ctx, config.iam(), &config.region, Some(key.clone())),
            sts: root.sts(ctx, Some(key)),
            root,
        })
    }

    /// A call of IAM.
    pub(crate) fn iam(&self, form: Form) -> Result<Element, AwsError> {
        self.iam.query(form)
    }
}

/// A call of IAM about a user.
pub(crate) fn about(action: &'static str, user: &str) -> Form {
    iam(action).with("UserName", user)
}

/// A call of IAM.
pub(crate) fn iam(action: &'static str) -> Form {
    Form::action(action, "2010-05-08")
}

/// Ending what is gone already is success.
pub(crate) fn gone(outcome: Result<Element, AwsError>) -> Result<(), AwsError> {
    match outcome {
        Err(error) if error.is("NoSuchEntity") => Ok(()),
        other => other.map(drop),
    }
}
