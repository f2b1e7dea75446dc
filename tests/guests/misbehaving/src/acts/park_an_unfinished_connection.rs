//! Leaves a connection on which an answer is still to come.

use std::io::Write as _;

use lessor_sdk::prelude::*;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let found = Connection::unpark("unfinished").is_some();
    let mut connection = scene.connect()?;
    connection.write_all(b"ping\n")?;
    connection.park("unfinished");
    scene.note(format!("found: {found}"))
}
