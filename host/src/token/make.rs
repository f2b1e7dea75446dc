//! Making tokens: what a maker may ask for, and what becomes of it.
//!
//! The rules are those that Vault documents for its token store, with one that
//! is stricter: nothing here makes a token that may do everything.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::{
    DEFAULT, ROOT, SYSTEM_TTL, Token, TokenKind, TokenParameters, TokenRole, Tokens, WRAPPING,
    batch, capped, new_accessor, new_token,
};
use crate::{
    policy,
    refusal::Refusal,
    secret::Secret,
    storage::{TokenFacts, TokenRow},
};

/// What `auth/token/create` is asked for.
#[derive(Debug, Default)]
pub struct NewToken {
    /// The token itself, where its maker chooses it.
    pub id: Option<Secret<String>>,
    /// Names of policies; empty: the maker's.
    pub policies: Vec<String>,
    /// What the maker says of it.
    pub meta: Option<BTreeMap<String, String>>,
    /// Whether it shall outlive its maker.
    pub no_parent: bool,
    /// Whether `default` is left out.
    pub no_default_policy: bool,
    /// Whether it can be renewed; absent: yes.
    pub renewable: Option<bool>,
    /// Its length.
    pub ttl: Option<Duration>,
    /// Its longest life.
    pub explicit_max_ttl: Duration,
    /// Length of each renewal, without a longest life.
    pub period: Duration,
    /// For people.
    pub display_name: String,
    /// Requests that it may make; 0: any number.
    pub num_uses: u32,
    /// How it is kept.
    pub kind: Option<TokenKind>,
}

/// What a maker may beyond calling the path.
#[derive(Clone, Copy, Debug)]
pub struct Permits {
    /// It has `sudo` there, or may do everything.
    pub sudo: bool,
}

/// Somebody who proved to a login method who they are.
#[derive(Debug)]
pub struct Login<'a> {
    /// Path of the login method, without `auth/`.
    pub mount: &'a str,
    /// Path of the request.
    pub path: String,
    /// Length of its tokens; 0: the system's.
    pub default_ttl: Duration,
    /// Longest life of its tokens; 0: the system's.
    pub max_ttl: Duration,
    /// What the role or user says of tokens.
    pub parameters: &'a TokenParameters,
    /// Policies beside those of `parameters`.
    pub policies: Vec<String>,
    /// For people.
    pub display_name: String,
    /// What the login established.
    pub metadata: BTreeMap<String, String>,
    /// Who sent it.
    pub peer: IpAddr,
}

/// A token as its holder is told of it, once.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub token: Secret<String>,
    /// What else there is to know.
    pub known: Token,
    /// Its length.
    pub ttl: Duration,
    /// What its maker should know.
    pub warnings: Vec<String>,
}

impl Tokens {
    /// Makes a token for a holder of one; `path` is the request's.
    ///
    /// # Errors
    /// `Invalid` with one sentence; `Conflict` where the chosen id is taken or
    /// the maker's own token has ended meanwhile.
    pub async fn create(
        &self,
        maker: &Token,
        permits: Permits,
        path: &str,
        role: Option<(&str, &TokenRole)>,
        asked: NewToken,
    ) -> Result<Granted, Refusal> {
        let (plan, warnings) =
            plan(maker, permits, role.map(|(_, role)| role), &asked).map_err(Refusal::Invalid)?;
        let now = self.clock.now();
        let suffix = role
            .map(|(_, role)| role.path_suffix.trim_matches('/'))
            .filter(|suffix| !suffix.is_empty());
        let path = match suffix {
            Some(suffix) => format!("{path}/{suffix}"),
            None => path.to_owned(),
        };
        let row = TokenRow {
            hash: [0; 32],
            accessor: String::new(),
            display_name: display_name(&asked.display_name),
            policies: plan.policies,
            created_at: now,
            expires_at: Some(now.plus(plan.ttl)),
            parent: (!plan.orphan).then_some(maker.row.hash),
            uses_left: (plan.num_uses > 0).then_some(plan.num_uses),
            path,
            facts: TokenFacts {
                meta: asked.meta,
                creation_ttl: plan.ttl.as_secs(),
                explicit_max_ttl: plan.explicit_max_ttl.as_secs(),
                period: plan.period.as_secs(),
                renewable: plan.renewable,
                bound_cidrs: role
                    .map_or_else(Vec::new, |(_, role)| role.parameters.bound_cidrs.clone()),
                role: role.map(|(name, _)| name.to_owned()),
                ..TokenFacts::default()
            },
        };
        self.record(plan.kind, row, plan.ttl, asked.id, warnings)
            .await
    }

    /// Makes a token for somebody who logged in.
    ///
    /// # Errors
    /// `Denied` where the role does not admit their address; `Invalid` where it
    /// asks for what no login gives.
    pub async fn log_in(&self, login: Login<'_>) -> Result<Granted, Refusal> {
        let parameters = login.parameters;
        if !parameters.admits(login.peer) {
            return Err(Refusal::Denied);
        }
        let now = self.clock.now();
        let kind = parameters.kind.choose(None);
        let policies = parameters.policies.iter().chain(&login.policies);
        let mut policies = clean(policies.map(String::as_str));
        if policies.iter().any(|policy| policy == ROOT) {
            return Err(Refusal::Invalid(
                "auth methods cannot create root tokens: take root out of token_policies".into(),
            ));
        }
        if !parameters.no_default_policy {
            add_default(&mut policies);
        }
        let longest = [parameters.max_ttl, login.max_ttl]
            .into_iter()
            .filter(|longest| !longest.is_zero())
            .fold(SYSTEM_TTL, Duration::min);
        let asked = [parameters.period, parameters.ttl, login.default_ttl]
            .into_iter()
            .find(|ttl| !ttl.is_zero())
            .unwrap_or(SYSTEM_TTL);
        let (ttl, mut warnings) = match parameters.period.is_zero() {
            true => capped(asked, longest),
            false => capped(asked, Duration::ZERO),
        };
        let (ttl, more) = capped(ttl, parameters.explicit_max_ttl);
        warnings.extend(more);
        let row = TokenRow {
            hash: [0; 32],
            accessor: String::new(),
            display_name: login.display_name,
            policies,
            created_at: now,
            expires_at: Some(now.plus(ttl)),
            parent: None,
            uses_left: (parameters.num_uses > 0).then_some(parameters.num_uses),
            path: login.path,
            facts: TokenFacts {
                meta: Some(login.metadata),
                creation_ttl: ttl.as_secs(),
                explicit_max_ttl: parameters.explicit_max_ttl.as_secs(),
                max_ttl: longest.as_secs(),
                period: parameters.period.as_secs(),
                renewable: kind == TokenKind::Service,
                bound_cidrs: parameters.bound_cidrs.clone(),
                ..TokenFacts::default()
            },
        };
        self.record(kind, row, ttl, None, warnings).await
    }

    /// A token that stands for one answer, with which it is stored: it can be used
    /// once, for that.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub(crate) fn for_answer(
        &self,
        path: &str,
        ttl: Duration,
    ) -> Result<(Secret<String>, TokenRow), Refusal> {
        let (token, now) = (new_token()?, self.clock.now());
        let row = TokenRow {
            hash: self.keyring.token_hash(token.expose()),
            accessor: new_accessor()?,
            display_name: String::new(),
            policies: vec![WRAPPING.to_owned()],
            created_at: now,
            expires_at: Some(now.plus(ttl)),
            parent: None,
            uses_left: Some(1),
            path: path.to_owned(),
            facts: TokenFacts {
                creation_ttl: ttl.as_secs(),
                explicit_max_ttl: ttl.as_secs(),
                ..TokenFacts::default()
            },
        };
        Ok((token, row))
    }

    async fn record(
        &self,
        kind: TokenKind,
        mut row: TokenRow,
        ttl: Duration,
        id: Option<Secret<String>>,
        warnings: Vec<String>,
    ) -> Result<Granted, Refusal> {
        let token = match (kind, id) {
            (TokenKind::Batch, _) => {
                let end = row.expires_at.unwrap_or(row.created_at.plus(ttl));
                batch::seal(&self.keyring, row.clone(), end)?
            }
            (TokenKind::Service, Some(id)) => id,
            (TokenKind::Service, None) => new_token()?,
        };
        row.hash = self.keyring.token_hash(token.expose());
        if kind == TokenKind::Service {
            row.accessor = new_accessor()?;
            if !self.storage.record_token(row.clone()).await? {
                return Err(Refusal::Conflict(
                    "the token is not made: its id is taken, or the token that asks has ended"
                        .into(),
                ));
            }
            self.nudge.at(row.expires_at);
        }
        tracing::info!(
            accessor = %row.accessor, kind = kind.as_str(), path = row.path, policies = ?row.policies,
            ttl_s = ttl.as_secs(), "made a token"
        );
        Ok(Granted {
            token,
            known: Token { kind, row },
            ttl,
            warnings,
        })
    }
}

/// What becomes of a request for a token.
#[derive(Debug, PartialEq)]
struct Plan {
    kind: TokenKind,
    policies: Vec<String>,
    ttl: Duration,
    explicit_max_ttl: Duration,
    period: Duration,
    renewable: bool,
    orphan: bool,
    num_uses: u32,
}

/// Decides what a maker gets: pure. Also what it should be told.
fn plan(
    maker: &Token,
    permits: Permits,
    role: Option<&TokenRole>,
    asked: &NewToken,
) -> Result<(Plan, Vec<String>), String> {
    let sudo = permits.sudo || maker.is_root();
    if maker.kind == TokenKind::Batch {
        return Err("batch tokens cannot create more tokens".into());
    }
    if maker.row.uses_left.is_some() {
        return Err("restricted use token cannot generate child tokens".into());
    }
    if let Some(id) = &asked.id {
        check_id(id, maker)?;
    }
    let parameters = role.map(|role| &role.parameters);
    let kind = match parameters {
        Some(parameters) => parameters.kind.choose(asked.kind),
        None => asked.kind.unwrap_or(TokenKind::Service),
    };
    if asked.no_parent && !sudo {
        return Err("root or sudo privileges required to create orphan token: leave no_parent out, or use a role that makes orphans".into());
    }
    let period = match parameters {
        Some(parameters) if !parameters.period.is_zero() => parameters.period,
        _ if asked.period.is_zero() => Duration::ZERO,
        _ if !sudo => {
            return Err("root or sudo privileges required to create periodic token: leave period out, or use a role that has one".into());
        }
        _ => asked.period,
    };
    if kind == TokenKind::Batch {
        for (name, is_set) in [
            ("id", asked.id.is_some()),
            ("explicit_max_ttl", !asked.explicit_max_ttl.is_zero()),
            ("num_uses", asked.num_uses > 0),
            ("period", !period.is_zero()),
        ] {
            if is_set {
                return Err(format!("batch tokens cannot have {name:?} set"));
            }
        }
    }
    let mut warnings = Vec::new();
    let policies = policies(maker, sudo, role, asked, &mut warnings)?;

    let explicit_max_ttl = [
        parameters.map_or(Duration::ZERO, |parameters| parameters.explicit_max_ttl),
        asked.explicit_max_ttl,
    ];
    let explicit_max_ttl = explicit_max_ttl
        .into_iter()
        .filter(|span| !span.is_zero())
        .min()
        .unwrap_or(Duration::ZERO);
    let wanted = match (period.is_zero(), asked.ttl) {
        (false, _) => period,
        (true, Some(ttl)) if !ttl.is_zero() => ttl,
        (true, _) => SYSTEM_TTL,
    };
    let longest = match period.is_zero() {
        true => explicit_max_ttl,
        false => Duration::ZERO,
    };
    // Nobody asked for the default, so cutting it is nothing to be told of.
    let named = asked.ttl.is_some_and(|ttl| !ttl.is_zero()) || !period.is_zero();
    let (ttl, more) = capped(wanted, longest);
    if named {
        warnings.extend(more);
    }
    let num_uses = [
        parameters.map_or(0, |parameters| parameters.num_uses),
        asked.num_uses,
    ];
    let plan = Plan {
        kind,
        policies,
        ttl,
        explicit_max_ttl,
        period,
        renewable: kind == TokenKind::Service
            && role.is_none_or(|role| role.renewable)
            && asked.renewable.unwrap_or(true),
        orphan: role.map_or(asked.no_parent, |role| role.orphan || asked.no_parent),
        num_uses: num_uses
            .into_iter()
            .filter(|uses| *uses > 0)
            .min()
            .unwrap_or(0),
    };
    Ok((plan, warnings))
}

fn policies(
    maker: &Token,
    sudo: bool,
    role: Option<&TokenRole>,
    asked: &NewToken,
    warnings: &mut Vec<String>,
) -> Result<Vec<String>, String> {
    let mut wanted = clean(asked.policies.iter().map(String::as_str));
    if wanted.iter().any(|policy| policy == ROOT) {
        return Err("policies must not name root: a root token is made with the installation, and by nothing else".into());
    }
    if wanted.iter().any(|policy| policy == WRAPPING) {
        return Err(format!(
            "policies must not name {WRAPPING}: only wrapped answers have it"
        ));
    }
    let without_default = asked.no_default_policy
        || role.is_some_and(|role| role.parameters.no_default_policy || role.disallows(DEFAULT));
    let makers = clean(maker.row.policies.iter().map(String::as_str));
    let inherited = || -> (Vec<String>, bool) {
        let kept: Vec<String> = makers
            .iter()
            .filter(|policy| *policy != ROOT)
            .cloned()
            .collect();
        let had_root = kept.len() < makers.len();
        (kept, had_root)
    };
    match role {
        Some(role) if role.names_allowed() => {
            if wanted.is_empty() {
                wanted = clean(role.allowed_policies.iter().map(String::as_str));
            }
            if let Some(policy) = wanted
                .iter()
                .find(|policy| *policy != DEFAULT && !role.allows(policy))
            {
                return Err(format!(
                    "policies must be among the allowed_policies and allowed_policies_glob of the role, and {policy:?} is not"
                ));
            }
            if !without_default {
                add_default(&mut wanted);
            }
        }
        _ if wanted.is_empty() => {
            let (kept, had_root) = inherited();
            wanted = kept;
            if had_root {
                warnings.push(
                    "root is not passed on: the token has the default policy alone; name the policies that it shall have".into(),
                );
                if !without_default {
                    add_default(&mut wanted);
                }
            } else if without_default {
                wanted.retain(|policy| policy != DEFAULT);
            }
        }
        _ if sudo || role.is_some_and(TokenRole::names_disallowed) => {
            if !without_default {
                add_default(&mut wanted);
            }
        }
        _ => {
            if let Some(policy) = wanted.iter().find(|policy| !makers.contains(policy)) {
                return Err(format!(
                    "child policies must be subset of parent: {policy:?} is not among the policies of the token that asks"
                ));
            }
            if !without_default && makers.iter().any(|policy| policy == DEFAULT) {
                add_default(&mut wanted);
            }
        }
    }
    if let Some(role) = role.filter(|role| role.names_disallowed())
        && let Some(policy) = wanted.iter().find(|policy| role.disallows(policy))
    {
        return Err(format!(
            "token policy {policy:?} is disallowed by this role"
        ));
    }
    Ok(wanted)
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

/// Names of policies as they are compared: lower case, sorted, each once.
fn clean<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names
        .map(policy::name)
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn add_default(policies: &mut Vec<String>) {
    if !policies.iter().any(|policy| policy == DEFAULT) {
        policies.push(DEFAULT.to_owned());
        policies.sort();
    }
}

/// `token-` and what the maker calls it; whatever could not stand in the name of
/// an upstream principal becomes `-`.
fn display_name(asked: &str) -> String {
    if asked.is_empty() {
        return "token".to_owned();
    }
    let named: String = asked
        .chars()
        .take(128)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!("token-{}", named.trim_end_matches('-'))
}

#[cfg(test)]
mod tests;
