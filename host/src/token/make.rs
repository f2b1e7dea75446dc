//! Making tokens: what each source asks for becomes a draft, which `judge`
//! judges, and what it allows becomes a row.
//!
//! The rules are those that Vault documents for its token store.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use lessor_model::{
    event::Event,
    life::{Bounds, least},
    refusal::Refusal,
    secret::Secret,
    token::{TokenKind, TokenParameters},
};
use lessor_store::{LoginOrigin, TokenRow};

use super::entity::inherited_entity;
use super::{
    DEFAULT, ROOT, RoleRow, Token, TokenRole, Tokens, WRAPPING, batch,
    judge::{Draft, Judged, Maker, Voucher, clean, judge},
    new_accessor, new_token,
};
use crate::config::TokenRules;

/// The fields of `auth/token/create`.
#[derive(Debug, Default)]
pub struct NewToken {
    /// The token itself, where its maker chooses it.
    pub id: Option<Secret<String>>,
    /// Names of policies; empty: the maker's.
    pub policies: Vec<String>,
    /// The metadata that the maker gives it.
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
    /// The kind of the token.
    pub kind: Option<TokenKind>,
}

/// The permits of a maker beyond calling the path.
#[derive(Clone, Copy, Debug)]
pub struct Permits {
    /// It has `sudo` there, or may do everything.
    pub sudo: bool,
}

/// The terms that a login method gives to a role or user: now, whenever that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Length of its tokens; 0: the system's.
    pub default_ttl: Duration,
    /// Longest life of its tokens; 0: the system's.
    pub max_ttl: Duration,
    /// The token parameters of the role or user.
    pub parameters: &'a TokenParameters,
}

/// Somebody who proved to a login method who they are.
#[derive(Debug)]
pub struct Login<'a> {
    /// Path of the request.
    pub path: String,
    /// The terms of the login.
    pub terms: Terms<'a>,
    /// The origin of the token, for renewals to look at again.
    pub origin: LoginOrigin,
    /// The entity that the token stands for: [`super::entity_of_login`].
    pub entity: String,
    /// For people.
    pub display_name: String,
    /// The metadata that the login established.
    pub metadata: BTreeMap<String, String>,
    /// The address of the caller.
    pub peer: IpAddr,
}

/// A token as its holder is told of it, once.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub token: Secret<String>,
    /// The token's record.
    pub known: Token,
    /// Its length; zero: it never ends.
    pub ttl: Duration,
    /// Warnings for its maker.
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
        role: Option<&RoleRow>,
        asked: NewToken,
    ) -> Result<Granted, Refusal> {
        let rules = role.map(|role| &role.role);
        let maker = Maker {
            token: maker,
            sudo: permits.sudo,
        };
        let now = self.clock.now();
        let (draft, mut warnings) =
            draft_of_maker(maker, rules, &asked, self.rules).map_err(Refusal::Invalid)?;
        let voucher = Voucher::Maker(maker, rules);
        let mut judged = judge(voucher, draft, self.rules, now).map_err(Refusal::Invalid)?;
        warnings.extend(judged.take_warnings());
        let suffix = rules
            .map(|role| role.path_suffix.trim_matches('/'))
            .filter(|suffix| !suffix.is_empty());
        let is_root = judged.is_root();
        let made = self.record(judged, Some(maker.token.row.hash), asked.id, |row| {
            row.display_name = display_name(&asked.display_name);
            row.path = match suffix {
                Some(suffix) => format!("{path}/{suffix}"),
                None => path.to_owned(),
            };
            row.facts.meta = asked.meta;
            row.facts.entity = inherited_entity(maker.token);
            row.facts.role = role.map(|role| role.name.to_string());
            row.facts.role_uuid = role.map(|role| role.uuid.clone());
        });
        let mut granted = made.await?;
        granted.warnings = warnings;
        if is_root {
            Event::RootTokenCreated {
                accessor: granted.known.row.accessor.clone(),
                maker: maker.token.row.accessor.clone(),
            }
            .record();
        }
        Ok(granted)
    }

    /// Makes a token for somebody who logged in.
    ///
    /// # Errors
    /// `Denied` where the role does not admit their address; `Invalid` where it
    /// asks for what no login gives.
    pub async fn log_in(&self, login: Login<'_>) -> Result<Granted, Refusal> {
        if !login.terms.parameters.admits(login.peer) {
            return Err(Refusal::Denied);
        }
        let draft = draft_of_login(login.terms);
        let now = self.clock.now();
        let judged = judge(Voucher::Login, draft, self.rules, now);
        let mut judged = judged.map_err(Refusal::Invalid)?;
        let warnings = judged.take_warnings();
        let made = self.record(judged, None, None, |row| {
            row.display_name = login.display_name;
            row.path = login.path;
            row.facts.meta = Some(login.metadata);
            row.facts.entity = login.entity;
            row.facts.login = Some(login.origin);
        });
        let mut granted = made.await?;
        granted.warnings = warnings;
        Ok(granted)
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
        let (token, draft) = (new_token()?, draft_of_answer(ttl));
        let judged = judge(Voucher::Answer, draft, self.rules, self.clock.now());
        let mut row = judged.map_err(Refusal::Invalid)?.row(None);
        row.hash = self.keyring.token_hash(token.expose());
        row.accessor = new_accessor()?;
        row.path = path.to_owned();
        Ok((token, row))
    }

    /// Stores what may be made, with what `describe` adds to it.
    async fn record(
        &self,
        judged: Judged,
        parent: Option<[u8; 32]>,
        id: Option<Secret<String>>,
        describe: impl FnOnce(&mut TokenRow),
    ) -> Result<Granted, Refusal> {
        let (kind, ttl) = (judged.kind(), judged.ttl());
        let mut row = judged.row(parent);
        describe(&mut row);
        let token = match (kind, id) {
            (TokenKind::Batch, _) => {
                let end = row.expires_at.unwrap_or(row.created_at);
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
        }
        let ttl = ttl.unwrap_or_default();
        Event::TokenCreated {
            accessor: row.accessor.clone(),
            kind: kind.as_str(),
            path: row.path.clone(),
            policies: row.policies.clone(),
            ttl_s: ttl.as_secs(),
        }
        .record();
        Ok(Granted {
            token,
            known: Token { kind, row },
            ttl,
            warnings: Vec::new(),
        })
    }
}

/// The token that a maker asks for, with the values that the role, or else the maker itself, fills
/// in. Also the warnings for the maker.
pub(super) fn draft_of_maker<'a>(
    maker: Maker<'_>,
    role: Option<&TokenRole>,
    asked: &'a NewToken,
    rules: TokenRules,
) -> Result<(Draft<'a>, Vec<String>), String> {
    let parameters = role.map(|role| &role.parameters);
    let kind = match parameters {
        Some(parameters) => parameters.kind.choose(asked.kind),
        None => asked.kind.unwrap_or(TokenKind::Service),
    };
    if kind == TokenKind::Batch && !asked.explicit_max_ttl.is_zero() {
        return Err("batch tokens cannot have \"explicit_max_ttl\" set".into());
    }
    let span = |of: fn(&TokenParameters) -> Duration| parameters.map_or(Duration::ZERO, of);
    let of_role = span(|parameters| parameters.period);
    let bounds = Bounds {
        asked: asked.ttl.unwrap_or_default(),
        usual: Duration::ZERO,
        period: match of_role.is_zero() {
            true => asked.period,
            false => of_role,
        },
        max: Duration::ZERO,
        explicit_max: least([
            span(|parameters| parameters.explicit_max_ttl),
            asked.explicit_max_ttl,
        ]),
    };
    let uses = [
        parameters.map_or(0, |parameters| parameters.num_uses),
        asked.num_uses,
    ];
    let ranges = parameters.map(|parameters| &parameters.bound_cidrs);
    // Whoever may be somewhere only makes no token for elsewhere.
    let ranges = ranges.filter(|ranges| !ranges.is_empty());
    let ranges = ranges.unwrap_or(&maker.token.row.facts.bound_cidrs);
    let (policies, warnings) = policies_of(maker, role, asked, rules);
    let draft = Draft {
        policies,
        kind,
        orphan: asked.no_parent || role.is_some_and(|role| role.orphan),
        renewable: role.is_none_or(|role| role.renewable) && asked.renewable.unwrap_or(true),
        num_uses: uses.into_iter().filter(|uses| *uses > 0).min().unwrap_or(0),
        bound_cidrs: ranges.clone(),
        bounds,
        id: asked.id.as_ref(),
    };
    Ok((draft, warnings))
}

/// The policies of a draft: those that are asked for; else those of the role;
/// else those of the maker. With `default`, where nobody is against it.
fn policies_of(
    maker: Maker<'_>,
    role: Option<&TokenRole>,
    asked: &NewToken,
    rules: TokenRules,
) -> (Vec<String>, Vec<String>) {
    let mut warnings = Vec::new();
    let makers = clean(maker.token.row.policies.iter().map(String::as_str));
    let has = |policies: &[String], name: &str| policies.iter().any(|policy| policy == name);
    let without_default = asked.no_default_policy
        || role.is_some_and(|role| role.parameters.no_default_policy || role.disallows(DEFAULT));
    let mut wanted = clean(asked.policies.iter().map(String::as_str));
    let add_default = if role.is_some_and(TokenRole::names_allowed) {
        if let Some(role) = role.filter(|_| wanted.is_empty()) {
            wanted = clean(role.allowed_policies.iter().map(String::as_str));
        }
        true
    } else if !wanted.is_empty() {
        let exceeds = maker.may_exceed() || role.is_some_and(TokenRole::names_policies);
        exceeds || has(&makers, DEFAULT)
    } else if !has(&makers, ROOT) {
        wanted = makers;
        wanted.retain(|policy| !without_default || policy != DEFAULT);
        false
    } else if role.is_none() && !asked.no_parent && rules.root_children {
        wanted = vec![ROOT.to_owned()];
        false
    } else {
        // Nobody named it, so nobody is to get it in passing.
        warnings.push(
            "root is not passed on: the token has the default policy alone; name the policies that it shall have".into(),
        );
        true
    };
    if add_default && !without_default && !has(&wanted, DEFAULT) {
        wanted.push(DEFAULT.to_owned());
    }
    (wanted, warnings)
}

/// The token that a login method gives to a role or user.
pub(super) fn draft_of_login(terms: Terms<'_>) -> Draft<'static> {
    let parameters = terms.parameters;
    let mut policies = parameters.policies.clone();
    if !parameters.no_default_policy {
        policies.push(DEFAULT.to_owned());
    }
    Draft {
        policies,
        kind: parameters.kind.choose(None),
        orphan: true,
        renewable: true,
        num_uses: parameters.num_uses,
        bound_cidrs: parameters.bound_cidrs.clone(),
        bounds: Bounds {
            asked: parameters.ttl,
            usual: terms.default_ttl,
            period: parameters.period,
            max: least([parameters.max_ttl, terms.max_ttl]),
            explicit_max: parameters.explicit_max_ttl,
        },
        id: None,
    }
}

/// A token as its holder has it, when it is renewed: with the spans that the role
/// that it was made by, where there was one, says now.
pub(super) fn draft_of_holder(row: &TokenRow, role: Option<&TokenRole>) -> Draft<'static> {
    let facts = &row.facts;
    let parameters = role.map(|role| &role.parameters);
    let (period, explicit_max) = match parameters {
        Some(parameters) => (parameters.period, parameters.explicit_max_ttl),
        None => (Duration::from_secs(facts.period), Duration::ZERO),
    };
    Draft {
        policies: row.policies.clone(),
        kind: TokenKind::Service,
        orphan: row.parent.is_none(),
        renewable: facts.renewable,
        num_uses: row.uses_left.unwrap_or(0),
        bound_cidrs: facts.bound_cidrs.clone(),
        bounds: Bounds {
            asked: Duration::ZERO,
            usual: Duration::from_secs(facts.creation_ttl),
            period,
            max: Duration::ZERO,
            explicit_max,
        },
        id: None,
    }
}

/// The token of a wrapped answer: for one use, and for no longer than it is kept.
fn draft_of_answer(ttl: Duration) -> Draft<'static> {
    Draft {
        policies: vec![WRAPPING.to_owned()],
        kind: TokenKind::Service,
        orphan: true,
        renewable: false,
        num_uses: 1,
        bound_cidrs: Vec::new(),
        bounds: Bounds {
            asked: ttl,
            explicit_max: ttl,
            ..Bounds::default()
        },
        id: None,
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
mod tests {
    use super::*;

    #[test]
    fn display_names_can_stand_in_upstream_names() {
        for (asked, expected) in [
            ("", "token"),
            ("ci", "token-ci"),
            ("my app!", "token-my-app"),
            ("ä/b", "token---b"),
        ] {
            assert_eq!(display_name(asked), expected);
        }
    }
}
