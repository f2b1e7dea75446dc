//! Decides on the properties of a token: once, when all that contributes to them is known, and in
//! one function. Pure.
//!
//! Whoever has a token made, and every role, login method and wrapped answer,
//! only writes a [`Draft`]. [`judge`] then looks at the whole of it, in the form
//! in which it will be stored, and nothing else makes a [`Judged`], of which a
//! token is made. So a limit cannot be passed by reaching it another way: a
//! policy that a role fills in is judged like one that was asked for.

use std::time::Duration;

use ipnet::IpNet;
use lessor_model::{
    clock::Timestamp,
    life::{Bounds, least},
    name::PolicyName,
    secret::Secret,
    token::TokenKind,
};
use lessor_store::{TokenFacts, TokenRow};

use super::{DEFAULT, ROOT, Token, TokenRole, WRAPPING};
use crate::config::TokenRules;

/// The party that vouches for a token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Voucher<'a> {
    /// The holder of a token, perhaps by a token role.
    Maker(Maker<'a>, Option<&'a TokenRole>),
    /// The holder of a token that was judged when it was made and is renewed,
    /// with the role that made it as that is now.
    Holder(Option<&'a TokenRole>),
    /// A login method, which found out who somebody is, or did so once.
    Login,
    /// This program, for an answer that it wraps.
    Answer,
}

/// The holder of a token who has another one made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker<'a> {
    pub(super) token: &'a Token,
    /// Whether a policy grants `sudo` at the path.
    pub(super) sudo: bool,
}

impl Maker<'_> {
    /// Whether it may name policies and limits that it does not have itself.
    pub(super) fn may_exceed(&self) -> bool {
        self.sudo || self.token.is_root()
    }
}

/// A token as all its sources together would have it.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    /// Names of policies, in any spelling.
    pub(super) policies: Vec<String>,
    pub(super) kind: TokenKind,
    /// Whether it shall outlive its maker.
    pub(super) orphan: bool,
    pub(super) renewable: bool,
    /// Requests that it may make; 0: any number.
    pub(super) num_uses: u32,
    pub(super) bound_cidrs: Vec<IpNet>,
    pub(super) bounds: Bounds,
    /// The token itself, where somebody chooses it.
    pub(super) id: Option<&'a Secret<String>>,
}

/// A token that may be made, or renewed.
#[derive(Debug, PartialEq)]
pub(super) struct Judged {
    kind: TokenKind,
    policies: Vec<String>,
    orphan: bool,
    renewable: bool,
    num_uses: u32,
    bound_cidrs: Vec<IpNet>,
    bounds: Bounds,
    /// The time when it was judged.
    at: Timestamp,
    /// From then on; absent: it never ends.
    ttl: Option<Duration>,
    warnings: Vec<String>,
}

/// Judges a token that is made now.
///
/// # Errors
/// One sentence that names what is too much.
pub(super) fn judge(
    voucher: Voucher<'_>,
    draft: Draft<'_>,
    rules: TokenRules,
    now: Timestamp,
) -> Result<Judged, String> {
    judge_at(voucher, draft, rules, now, now)
}

/// Judges a token of `created_at` as it would be renewed now.
///
/// # Errors
/// As [`judge`], and where its longest life is over.
pub(super) fn judge_at(
    voucher: Voucher<'_>,
    draft: Draft<'_>,
    rules: TokenRules,
    created_at: Timestamp,
    now: Timestamp,
) -> Result<Judged, String> {
    if let Voucher::Maker(maker, role) = voucher {
        check_maker(maker)?;
        check_reach(maker, role, &draft)?;
    }
    if draft.kind == TokenKind::Batch {
        check_batch(&draft)?;
    }
    let policies = clean(draft.policies.iter().map(String::as_str));
    check_policies(voucher, &policies, draft.kind, rules)?;
    let is_root = policies.iter().any(|policy| policy == ROOT);
    let mut bounds = draft.bounds;
    let (ttl, warnings) = match voucher {
        Voucher::Maker(maker, _) if is_root => {
            let left = maker.token.row.expires_at.map(|end| end.since(now));
            let asks = !bounds.asked.is_zero() || !bounds.period.is_zero();
            if left.is_none() && !asks && bounds.explicit_max.is_zero() {
                // Like the one that made it.
                (None, Vec::new())
            } else {
                // No root token comes to outlive the one that it is from.
                bounds.explicit_max = least([bounds.explicit_max, left.unwrap_or_default()]);
                of_life(&bounds, created_at, now)?
            }
        }
        _ => of_life(&bounds, created_at, now)?,
    };
    Ok(Judged {
        kind: draft.kind,
        policies: match is_root {
            // Whoever may do everything needs no other.
            true => vec![ROOT.to_owned()],
            false => policies,
        },
        orphan: draft.orphan,
        renewable: draft.renewable && ttl.is_some() && draft.kind == TokenKind::Service,
        num_uses: draft.num_uses,
        bound_cidrs: draft.bound_cidrs,
        bounds,
        at: now,
        ttl,
        warnings,
    })
}

fn of_life(
    bounds: &Bounds,
    created_at: Timestamp,
    now: Timestamp,
) -> Result<(Option<Duration>, Vec<String>), String> {
    let life = bounds.life(created_at, now);
    let life = life.ok_or("past the max TTL, cannot renew: get a new token")?;
    Ok((Some(life.ttl), life.warnings))
}

/// A maker of other tokens must itself be a token that can be counted and ended.
fn check_maker(maker: Maker<'_>) -> Result<(), String> {
    if maker.token.kind == TokenKind::Batch {
        return Err("batch tokens cannot create more tokens".into());
    }
    if maker.token.row.uses_left.is_some() {
        return Err("restricted use token cannot generate child tokens".into());
    }
    Ok(())
}

/// Checks the properties that reach beyond the maker: a life after its own, a life without end, a
/// name of its choice.
fn check_reach(
    maker: Maker<'_>,
    role: Option<&TokenRole>,
    draft: &Draft<'_>,
) -> Result<(), String> {
    if draft.orphan && !maker.may_exceed() && !role.is_some_and(|role| role.orphan) {
        return Err("root or sudo privileges required to create orphan token: leave no_parent out, or use a role that makes orphans".into());
    }
    let of_role = role.map_or(Duration::ZERO, |role| role.parameters.period);
    if draft.bounds.period > of_role && !maker.may_exceed() {
        return Err("root or sudo privileges required to create periodic token: leave period out, or use a role that has one".into());
    }
    draft.id.map_or(Ok(()), |id| check_id(id, maker.token))
}

/// Nothing is stored of a batch token, so nothing can be counted or moved.
fn check_batch(draft: &Draft<'_>) -> Result<(), String> {
    for (name, is_set) in [
        ("id", draft.id.is_some()),
        ("num_uses", draft.num_uses > 0),
        ("period", !draft.bounds.period.is_zero()),
    ] {
        if is_set {
            return Err(format!(
                "batch tokens cannot have {name:?} set: leave it out, or let token_type be service"
            ));
        }
    }
    Ok(())
}

/// Whether these policies, as they are stored, may stand in the token.
fn check_policies(
    voucher: Voucher<'_>,
    policies: &[String],
    kind: TokenKind,
    rules: TokenRules,
) -> Result<(), String> {
    let named = |name: &str| policies.iter().any(|policy| policy == name);
    if named(WRAPPING) && !matches!(voucher, Voucher::Answer) {
        return Err(format!(
            "policies must not name {WRAPPING}: only wrapped answers have it"
        ));
    }
    if named(ROOT) {
        check_root(voucher, kind, rules)?;
    }
    match voucher {
        Voucher::Maker(maker, role) => check_subset(maker, role, policies),
        Voucher::Holder(Some(role)) => role.check_policies(policies),
        Voucher::Holder(None) | Voucher::Login | Voucher::Answer => Ok(()),
    }
}

/// Root comes from a root token alone, and from no role.
fn check_root(voucher: Voucher<'_>, kind: TokenKind, rules: TokenRules) -> Result<(), String> {
    let sentence = match voucher {
        Voucher::Login => "auth methods cannot create root tokens: take root out of token_policies",
        Voucher::Answer => "a wrapped answer has no policies of its own",
        Voucher::Maker(_, Some(_)) | Voucher::Holder(Some(_)) => {
            "policies must not name root: no token role makes a root token; take root out of the request and of allowed_policies"
        }
        Voucher::Maker(maker, None) if !maker.token.is_root() => {
            "policies must not name root: root tokens may not be created without parent token being root"
        }
        Voucher::Maker(..) | Voucher::Holder(None) if !rules.root_children => {
            "policies must not name root: tokens.root_children is false in the configuration of this server"
        }
        Voucher::Maker(..) | Voucher::Holder(None) if kind == TokenKind::Batch => {
            "batch tokens cannot be root tokens: name other policies, or leave type out"
        }
        Voucher::Maker(..) | Voucher::Holder(None) => return Ok(()),
    };
    Err(sentence.into())
}

/// Whether a maker, or the role that it uses, may give these policies.
fn check_subset(
    maker: Maker<'_>,
    role: Option<&TokenRole>,
    policies: &[String],
) -> Result<(), String> {
    match role {
        Some(role) if role.names_policies() => role.check_policies(policies),
        _ if maker.may_exceed() => Ok(()),
        _ => {
            let own = clean(maker.token.row.policies.iter().map(String::as_str));
            match policies.iter().find(|policy| !own.contains(policy)) {
                None => Ok(()),
                Some(policy) => Err(format!(
                    "child policies must be subset of parent: {policy:?} is not among the policies of the token that asks"
                )),
            }
        }
    }
}

/// A token that its maker chooses: only one who may do everything may, and it
/// must not be taken for one that this program made.
fn check_id(id: &Secret<String>, maker: &Token) -> Result<(), String> {
    if !maker.is_root() {
        return Err("root required to specify token id: leave id out".into());
    }
    let text = id.expose();
    let fits = |byte: u8| byte.is_ascii_graphic();
    if text.is_empty() || text.len() > 512 || !text.bytes().all(fits) {
        return Err("id must have 1 to 512 visible ASCII characters".into());
    }
    if ["lsr.", "lsb.", "s.", "b.", "hvs.", "hvb."]
        .iter()
        .any(|prefix| text.starts_with(prefix))
    {
        return Err("id must not begin with lsr., lsb., s., b., hvs. or hvb.: tokens that a server makes begin so".into());
    }
    Ok(())
}

impl Judged {
    pub(super) fn kind(&self) -> TokenKind {
        self.kind
    }

    pub(super) fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// The time when it ends; absent: never.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.ttl.map(|ttl| self.at.plus(ttl))
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(super) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == ROOT)
    }

    /// Whether a token with these policies is given as much by it, leaving aside
    /// `default`, as Vault does where it renews.
    pub(super) fn gives_the_same_as(&self, policies: &[String]) -> bool {
        let beside = |policies: &[String]| -> Vec<String> {
            let names = policies.iter().map(String::as_str);
            clean(names.filter(|policy| *policy != DEFAULT))
        };
        beside(&self.policies) == beside(policies)
    }

    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// The row of the token, which has no value yet. `parent` is the hash of its
    /// maker, of which an orphan takes no notice.
    pub(super) fn row(self, parent: Option<[u8; 32]>) -> TokenRow {
        let expires_at = self.end();
        TokenRow {
            hash: [0; 32],
            accessor: String::new(),
            display_name: String::new(),
            policies: self.policies,
            created_at: self.at,
            expires_at,
            parent: parent.filter(|_| !self.orphan),
            uses_left: (self.num_uses > 0).then_some(self.num_uses),
            path: String::new(),
            facts: TokenFacts {
                creation_ttl: self.ttl.unwrap_or_default().as_secs(),
                explicit_max_ttl: self.bounds.explicit_max.as_secs(),
                max_ttl: self.bounds.max.as_secs(),
                period: self.bounds.period.as_secs(),
                renewable: self.renewable,
                bound_cidrs: self.bound_cidrs,
                ..TokenFacts::default()
            },
        }
    }
}

/// Names of policies as they are compared and stored: sorted, each once.
pub(super) fn clean<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<PolicyName> = names.map(PolicyName::from).collect();
    names.retain(|name| !name.as_str().is_empty());
    names.sort();
    names.dedup();
    names.into_iter().map(String::from).collect()
}

#[cfg(test)]
mod tests;
