//! A provider of nothing, for the SDK's own tests: the harness plays the host for one.

use crate::{About, Context, Empty, Issued, Provider, Result, Revocation, UnixTime, Validation};

pub(crate) struct Nothing;

impl Provider for Nothing {
    type Config = Empty;
    type Role = Empty;
    type Request = Empty;
    type Credential = Empty;

    fn about() -> About {
        About::new("nothing", "0.1.0", "Nothing")
    }

    fn validate_config(_: &Context, _: &Empty, _: Option<&Empty>) -> Result<Validation> {
        Ok(Validation::default())
    }

    fn create(
        ctx: &Context,
        _: &Empty,
        _: &Empty,
        _: &Empty,
        _: Option<UnixTime>,
    ) -> Result<Issued<Empty>> {
        Ok(Issued::new(&ctx.principal_name, Empty {}))
    }

    fn revoke(_: &Context, _: &Empty, _: Option<&Empty>, _: &Revocation) -> Result<()> {
        Ok(())
    }
}
