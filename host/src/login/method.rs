//! The door that every kind of login comes through.
//!
//! A [`Method`] gets what a stranger sent and answers who that is, as [`Claims`]:
//! what the token shall be, and what stands in it. When the token is renewed, it
//! answers the same of the role or user as it is then. It makes no token, counts no
//! failure and knows no other kind. So one more kind is one more
//! [`Kind`](lessor_model::login::Kind) and one more `Method`; one that asks a sandboxed
//! provider seals its config as `jwt` does, hands the provider the fields, and
//! makes claims of what it answers.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use async_trait::async_trait;
use lessor_model::{refusal::Refusal, secret::Secret, token::TokenParameters, weak};
use serde_json::{Map, Value};

use super::LoginMount;

/// A kind of login.
#[async_trait]
pub trait Method: fmt::Debug + Send + Sync {
    /// The name under which failures are counted, and which is locked; none where nothing is.
    fn counted_name(&self, attempt: &Attempt<'_>) -> Option<String>;

    /// Checks the fields of an attempt, and tells whom they belong to.
    ///
    /// # Errors
    /// [`Rejection::Wrong`] where what exists was named and its proof is wrong,
    /// [`Rejection::Unknown`] where it does not exist: both are counted. Anything else
    /// is a refusal.
    async fn log_in(&self, attempt: Attempt<'_>) -> Result<Claims, Rejection>;

    /// The role or user of a name as it stands now, for a token that is renewed;
    /// none where there is none any more.
    ///
    /// # Errors
    /// Where storage fails.
    async fn standing(&self, mount: &LoginMount, name: &str) -> Result<Option<Standing>, Refusal>;

    /// Whether what failures are counted under exists.
    ///
    /// # Errors
    /// Where storage fails.
    async fn is_known(&self, mount: &LoginMount, name: &str) -> Result<bool, Refusal>;
}

/// A role or user as it stands: what it gives, and what tells it from another.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// Names it for ever; one that is made again with the name has another.
    pub uuid: String,
    /// The proof that it asks for, hashed; empty: nothing that can change.
    pub proof: String,
    /// The settings of its tokens.
    pub parameters: TokenParameters,
}

/// A stranger's attempt.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The login method asked.
    pub mount: &'a LoginMount,
    /// Who, where the path says so.
    pub name: Option<&'a str>,
    /// The fields that were sent.
    pub form: Form,
    /// From where.
    pub peer: IpAddr,
}

/// The identity that a login established.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The role or user, with what the token shall be.
    pub standing: Standing,
    /// For people, behind the path of the login method; empty: that alone.
    pub display_name: String,
    /// The metadata of the token.
    pub metadata: BTreeMap<String, String>,
}

/// The reason why somebody did not log in.
#[derive(Debug)]
pub enum Rejection {
    /// The proof is wrong; the sentence tells no more than that.
    Wrong(&'static str),
    /// The named role or user does not exist; the sentence is the one of a wrong proof.
    Unknown(&'static str),
    /// All else.
    Refused(Refusal),
}

impl Rejection {
    /// 400 with a sentence.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self::Refused(Refusal::Invalid(sentence.into()))
    }
}

impl<E: Into<Refusal>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// The fields of an attempt. Never printed: all of them may be secret.
pub struct Form {
    left: Map<String, Value>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form")
    }
}

impl Form {
    /// The fields of a body.
    pub fn new(left: Map<String, Value>) -> Self {
        Self { left }
    }

    /// The value that [`Self::bearer`] would take, without taking it.
    pub fn peek(&self, name: &str) -> Option<String> {
        let text = weak::text(self.left.get(name)?)?;
        Some(text.trim().to_owned())
    }

    /// Takes a text field; absent, null and empty are none.
    ///
    /// # Errors
    /// `Invalid` where it is no text.
    pub fn text(&mut self, name: &str) -> Result<Option<Secret<String>>, Refusal> {
        match self.left.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match weak::text(&value) {
                Some(text) => Ok(Some(text).filter(|t| !t.is_empty()).map(Secret::new)),
                None => Err(Refusal::Invalid(format!("{name} must be a string"))),
            },
        }
    }

    /// Takes a text whose bearer is believed, without the white space around it: it
    /// may come from a file.
    ///
    /// # Errors
    /// `Invalid` where it is no text.
    pub fn bearer(&mut self, name: &str) -> Result<Option<Secret<String>>, Refusal> {
        let text = self.text(name)?;
        let trimmed = text.map(|text| text.expose().trim().to_owned());
        Ok(trimmed.filter(|text| !text.is_empty()).map(Secret::new))
    }

    /// Takes such a text that must be there.
    ///
    /// # Errors
    /// `Invalid` where it is missing or no text.
    pub fn required_bearer(&mut self, name: &str) -> Result<Secret<String>, Refusal> {
        self.bearer(name)?
            .ok_or_else(|| Refusal::Invalid(format!("missing {name}")))
    }

    /// Takes a text field that must be there.
    ///
    /// # Errors
    /// `Invalid` where it is missing or no text.
    pub fn required(&mut self, name: &str) -> Result<Secret<String>, Refusal> {
        self.text(name)?
            .ok_or_else(|| Refusal::Invalid(format!("missing {name}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_gives_each_field_once_and_shows_none() {
        let Value::Object(body) =
            json!({"role_id": "r", "secret_id": null, "x": [1], "jwt": " a.b.c\n", "pin": 7})
        else {
            panic!()
        };
        let mut form = Form::new(body);
        assert_eq!(format!("{form:?}"), "Form");
        assert_eq!(form.peek("role_id").as_deref(), Some("r"));
        assert_eq!(form.peek("pin").as_deref(), Some("7"));
        assert_eq!(form.required("role_id").unwrap().expose(), "r");
        assert!(form.required("role_id").is_err());
        assert!(form.text("secret_id").unwrap().is_none());
        assert!(form.text("x").is_err());
        assert_eq!(form.required_bearer("jwt").unwrap().expose(), "a.b.c");
        assert_eq!(form.required("pin").unwrap().expose(), "7");
    }
}
