//! Logs the root credential as a URL and as JSON write it.

use lessor_sdk::{http, log};
use serde_json::json;

use crate::scene::{Outcome, Scene};

pub(crate) fn act(scene: &Scene<'_>) -> Outcome {
    let url = http::encode(scene.root);
    let form = url.replace("%20", "+");
    let json = json!({ "root": scene.root }).to_string();
    log::info("sent", &[("url", &url), ("form", &form), ("json", &json)]);
    scene.note("logged")
}
