//! What an act has at hand, and what it gives back.

use lessor_sdk::prelude::*;

use crate::{credential::Credential, upstream};

/// One way to behave in `create`.
pub(crate) type Act = fn(&Scene<'_>) -> Outcome;

/// What `create` answers.
pub(crate) type Outcome = Result<Issued<Credential>>;

/// The circumstances of one `create`.
pub(crate) struct Scene<'a> {
    pub(crate) ctx: &'a Context,
    /// The root credential.
    pub(crate) root: &'a str,
    /// A host to connect to, or a URL.
    pub(crate) target: &'a str,
    /// A port, a size, a count.
    pub(crate) number: u32,
}

impl Scene<'_> {
    /// A credential as it should be, with something to tell.
    pub(crate) fn note(&self, note: impl Into<String>) -> Outcome {
        self.issued(Credential::with_note(note))
    }

    /// A credential of any form, under the id that `revoke` takes.
    pub(crate) fn issued(&self, credential: Credential) -> Outcome {
        Ok(Issued::new(&self.ctx.principal_name, credential))
    }

    /// Connects to the role's target.
    pub(crate) fn connect(&self) -> Result<Connection> {
        upstream::connect(self.target, self.number)
    }

    /// The role's number as a length.
    pub(crate) fn length(&self) -> usize {
        usize::try_from(self.number).unwrap_or(usize::MAX)
    }
}

/// An act by the functions of WASI themselves, which the SDK does not offer. There are
/// none outside of a component.
macro_rules! in_a_component {
    (|$scene:ident| $act:block) => {
        #[cfg(target_arch = "wasm32")]
        pub(crate) fn act($scene: &Scene<'_>) -> Outcome $act

        #[cfg(not(target_arch = "wasm32"))]
        pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
            scene.note("no component")
        }
    };
}

pub(crate) use in_a_component;
