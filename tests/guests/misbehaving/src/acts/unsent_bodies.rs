//! Writes bodies into requests that are never sent.

use crate::scene::{Outcome, Scene, in_a_component};

in_a_component! { |scene| {
    use wasip2::http::types::{Fields, OutgoingRequest};

    let zeros = vec![0; 1 << 20];
    let mut unsent = Vec::new();
    for _ in 0..250 {
        let request = OutgoingRequest::new(Fields::new());
        if let Ok(body) = request.body()
            && let Ok(stream) = body.write()
        {
            while let Ok(room @ 1..) = stream.check_write() {
                let part = usize::try_from(room).unwrap_or(0).min(zeros.len());
                let _ = stream.write(zeros.get(..part).unwrap_or_default());
            }
        }
        unsent.push(request);
    }
    scene.note(unsent.len().to_string())
} }
