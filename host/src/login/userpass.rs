//! Userpass: a name and a password. For people.
//!
//! The rules are those that Vault documents for its userpass method; names make
//! no difference of case. A name that does not exist costs as much time as a
//! wrong password; only a user who brought a hash by bcrypt along costs what its
//! cost says, until a password is set.

mod password;
mod turns;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use lessor_model::{refusal::Refusal, secret::Secret, token::TokenParameters};
use serde::{Deserialize, Serialize};

use self::password::Passwords;
use super::{
    Attempt, Claims, LoginMount, Method, Rejection, Standing,
    entries::{Entries, Entry},
};

/// The sentence for a stranger, whichever of the two was wrong.
const WRONG: &str = "invalid username or password";

/// A user.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The password's hash, with its salt and parameters: a PHC string, or a hash by
    /// bcrypt that somebody brought along.
    password: String,
    /// The settings of its tokens.
    pub token: TokenParameters,
}

/// A password to be kept.
#[derive(Debug)]
pub enum NewPassword {
    /// Itself.
    Plain(Secret<String>),
    /// Its hash by bcrypt, from where the user was before.
    Hashed(Secret<String>),
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Entry for User {
    const NOUN: &'static str = "user";

    fn alias(&self) -> Option<String> {
        None
    }

    fn token(&self) -> &TokenParameters {
        &self.token
    }

    /// A new password is nothing to who logged in with the one before.
    fn proof(&self) -> String {
        String::new()
    }
}

/// The users of all userpass login methods.
#[derive(Debug)]
pub struct Users {
    entries: Entries,
    passwords: Passwords,
}

impl Users {
    pub(super) fn new(entries: Entries) -> Self {
        Self {
            entries,
            passwords: Passwords::default(),
        }
    }

    /// A user; none where there is none.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn find(&self, mount: &LoginMount, name: &str) -> Result<Option<User>, Refusal> {
        let found = self.entries.find(mount, name).await?;
        Ok(found.map(|found| found.entry))
    }

    /// Names of users.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn names(&self, mount: &LoginMount) -> Result<Vec<String>, Refusal> {
        self.entries.names(mount).await
    }

    /// Writes a user: a new password where one is given, and what `change` makes
    /// of the former parameters.
    ///
    /// # Errors
    /// What `change` says; `Invalid` for a new user without a password, where
    /// `must_exist` `NotFound` for an unknown one.
    pub async fn write<E: From<Refusal>>(
        &self,
        mount: &LoginMount,
        name: &str,
        password: Option<NewPassword>,
        must_exist: bool,
        change: impl FnOnce(TokenParameters) -> Result<TokenParameters, E> + Send,
    ) -> Result<(), E> {
        let hash = match password {
            Some(NewPassword::Plain(password)) => Some(self.passwords.hash(password).await?),
            Some(NewPassword::Hashed(hash)) => Some(password::admit(&hash)?),
            None => None,
        };
        let apply = |former: Option<User>| {
            if must_exist && former.is_none() {
                return Err(Refusal::NotFound("username does not exist".into()).into());
            }
            let (former_hash, former) = match former {
                Some(user) => (Some(user.password), user.token),
                None => (None, TokenParameters::default()),
            };
            let password = hash.or(former_hash);
            Ok(User {
                password: password.ok_or_else(|| Refusal::Invalid("missing password".into()))?,
                token: change(former)?,
            })
        };
        self.entries.write(mount, name, apply).await
    }

    /// Removes a user; tokens that they have live on.
    ///
    /// # Errors
    /// Where storage fails.
    pub async fn remove(&self, mount: &LoginMount, name: &str) -> Result<(), Refusal> {
        self.entries.remove::<User>(mount, name).await
    }
}

#[async_trait]
impl Method for Users {
    fn counted_name(&self, attempt: &Attempt<'_>) -> Option<String> {
        attempt.name.map(str::to_owned)
    }

    async fn log_in(&self, mut attempt: Attempt<'_>) -> Result<Claims, Rejection> {
        let password = attempt.form.required("password")?;
        let name = attempt.name.unwrap_or_default();
        let user = self.entries.find::<User>(attempt.mount, name).await?;
        let hash = user.as_ref().map(|user| user.entry.password.clone());
        let who = (attempt.peer, name);
        let fits = self.passwords.verify(who, password, hash).await?;
        match user {
            Some(user) if fits => Ok(Claims {
                standing: user.standing(),
                metadata: BTreeMap::from([("username".to_owned(), user.name.to_string())]),
                display_name: user.name.to_string(),
            }),
            Some(_) => Err(Rejection::Wrong(WRONG)),
            None => Err(Rejection::Unknown(WRONG)),
        }
    }

    async fn standing(&self, mount: &LoginMount, name: &str) -> Result<Option<Standing>, Refusal> {
        let found = self.entries.find::<User>(mount, name).await?;
        Ok(found.map(|user| user.standing()))
    }

    async fn is_known(&self, mount: &LoginMount, name: &str) -> Result<bool, Refusal> {
        Ok(self.find(mount, name).await?.is_some())
    }
}
