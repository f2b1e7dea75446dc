//! Sends requests and reads no body of an answer.

use crate::scene::{Outcome, Scene, in_a_component};

in_a_component! { |scene| {
    use wasip2::http::{
        outgoing_handler,
        types::{Fields, OutgoingRequest, Scheme},
    };

    let mut unread = Vec::new();
    for _ in 0..scene.number {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_scheme(Some(&Scheme::Http));
        let _ = request.set_authority(Some(scene.target));
        let _ = request.set_path_with_query(Some("/"));
        if let Ok(pending) = outgoing_handler::handle(request, None) {
            pending.subscribe().block();
            unread.extend(pending.get().and_then(Result::ok).and_then(Result::ok));
        }
    }
    let bodies: Vec<_> = unread.iter().filter_map(|response| response.consume().ok()).collect();
    scene.note(format!("{} unread", bodies.len()))
} }
