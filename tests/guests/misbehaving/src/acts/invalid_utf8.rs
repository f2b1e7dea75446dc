//! Answers with a string that is no UTF-8.

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let mut issued = scene.note("")?;
    #[expect(
        unsafe_code,
        reason = "no safe string holds these bytes; nothing looks at them before they leave"
    )]
    let id = unsafe { String::from_utf8_unchecked(vec![b'i', 0xff, 0xfe, 0xc0]) };
    issued.id = id;
    Ok(issued)
}
