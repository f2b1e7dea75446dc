//! Fills headers that are never sent.

use crate::scene::{Outcome, Scene, in_a_component};

in_a_component! { |scene| {
    use wasip2::http::types::Fields;

    let value = vec![b'x'; 60_000];
    let mut unsent = Vec::new();
    for _ in 0..250 {
        let fields = Fields::new();
        let _ = fields.append("first", &value);
        let _ = fields.append("second", &value);
        unsent.push(fields);
    }
    scene.note(unsent.len().to_string())
} }
