//! No root credential is lost, and no forgotten one stays upstream. The upstream's root may
//! have several tokens, and `kill -9` comes in between.

use lessor_tests::{
    fixture::GIVEN_UP_SECONDS,
    server::Server,
    toy::{TOKEN, Toy},
    wait::eventually_true,
};
use serde_json::{Value, json};

/// A server with a mount of the provider `keys`.
struct House {
    server: Server,
    toy: Toy,
}

impl House {
    fn start(fault: &str, answers: &str) -> Self {
        let toy = Toy::start();
        let server = Server::setup().fault(fault).start();
        server.bring_and_pin("keys", "test/keys.wasm");
        let mount = json!({"type": "keys", "config": {"allowed_hosts": [toy.origin()]}});
        server.http.post("sys/mounts/keys", &mount).ok();
        let house = Self { server, toy };
        house.configure(&json!({"answers": answers})).ok();
        house
    }

    fn configure(&self, changes: &Value) -> lessor_tests::http::Answer {
        let config = json!({"url": self.toy.origin(), "token": TOKEN});
        let config = lessor_tests::fixture::changed(config, changes);
        self.server.http.post("keys/config", &config)
    }

    fn view(&self) -> Value {
        self.server.http.get("keys/config").data()
    }

    /// Goes on after the process killed itself.
    fn revive(&mut self) {
        self.server.await_death();
        self.server.restart();
        self.server.advance_clock(GIVEN_UP_SECONDS);
    }

    fn await_tokens(&self, count: usize) {
        eventually_true(&format!("{count} root tokens are left"), || {
            self.toy.tokens().len() == count
        });
    }
}

/// The answer fails its schema, after upstream has made the new token.
#[test]
fn a_rotated_config_that_fails_its_schema_survives_every_crash() {
    for fault in ["rotate.after_provider", "rotate.after_staged"] {
        let mut house = House::start(fault, "wrong");
        let died = house
            .server
            .http
            .try_send("POST", "keys/rotate-root", &[], None);
        assert!(died.is_err(), "{died:?}");
        house.revive();
        eventually_true("the rotation waits for the operator", || {
            house.view()["rotation"]["state"] == "failed"
        });
        let rotation = house.view()["rotation"].clone();
        let reason = rotation["last_error"].as_str().unwrap();
        assert!(reason.contains("/answers"), "{reason}");
        assert_eq!(rotation["new_version"], json!(2), "{rotation}");
        assert_eq!(rotation["staged_config"], Value::Null);
        assert_eq!(house.toy.tokens().len(), 2);

        let http = house.server.http.clone();
        let sentence = http.post("keys/rotate-root/retry", &json!({})).refused(409);
        assert!(sentence.contains("config.answers"), "{sentence}");
        http.post("keys/rotate-root/retry", &json!({"accept": true}))
            .ok();
        assert_eq!(house.view()["version"], json!(2));
        // The first one is ended once its grace is over.
        house.server.advance_clock(61);
        house.await_tokens(1);
        assert_eq!(house.toy.accounts_by(TOKEN), None);
    }
}

/// The staged credential is a token that upstream takes and nobody knows.
#[test]
fn a_staged_root_is_ended_upstream_whatever_the_point_of_the_crash() {
    for (way, fault) in [
        ("write", "config.after_replaced"),
        ("write", "rotate.after_undone"),
        ("remove", "config.after_settled"),
        ("remove", "rotate.after_undone"),
        ("abort", "rotate.after_undone"),
    ] {
        // The first config is written by a process without the fault.
        let mut house = House::start("", "wrong");
        house
            .server
            .http
            .post("keys/rotate-root", &json!({}))
            .refused(409);
        assert_eq!(house.toy.tokens().len(), 2);
        house.server.kill();
        house.server.restart_with_fault(fault);
        let http = house.server.http.clone();
        let config = json!({"url": house.toy.origin(), "token": TOKEN}).to_string();
        let json = [("Content-Type", "application/json")];
        let died = match way {
            "write" => http.try_send("POST", "keys/config", &json, Some(config.as_bytes())),
            "remove" => http.try_send("DELETE", "keys/config", &[], None),
            _ => http.try_send("POST", "keys/rotate-root/abort", &[], None),
        };
        // The process may die in the scheduler, after the answer.
        let _ = died;
        house.revive();
        house.await_tokens(1);
        assert!(house.toy.accounts_by(TOKEN).is_some(), "{way} {fault}");
        if way == "remove" {
            house.server.http.delete("keys/config").ok();
        }
        eventually_true("nothing is left to be ended", || {
            let view = house.server.http.get("keys/config");
            view.status == 404 || view.data()["ending"] == json!([])
        });
    }
}

#[test]
fn a_new_token_name_is_announced_and_a_rotation_goes_through() {
    let house = House::start("", "");
    house.server.http.post("keys/rotate-root", &json!({})).ok();
    assert_eq!(house.view()["version"], json!(2));
    // Removing the config at this point ends the former root credential first.
    house.server.http.delete("keys/config").ok();
    house.await_tokens(1);
    assert_eq!(house.toy.accounts_by(TOKEN), None);
}
