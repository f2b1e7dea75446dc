//! Names methods of a megabyte in requests that are never sent.

use crate::scene::{Outcome, Scene, in_a_component};

in_a_component! { |scene| {
    use wasip2::http::types::{Fields, Method, OutgoingRequest};

    let mut unsent = Vec::new();
    for _ in 0..250 {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_method(&Method::Other("A".repeat(1 << 20)));
        unsent.push(request);
    }
    scene.note(unsent.len().to_string())
} }
