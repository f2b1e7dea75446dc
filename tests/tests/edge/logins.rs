//! Logins: how callers without a token get one, through the public edge.

mod approle;
mod jwt;
mod methods;
mod userpass;

use lessor_tests::{
    http::{Answer, Http},
    server::Server,
};
use serde_json::{Value, json};

/// A server with AppRole at `approle` and users at `people`.
fn server() -> Server {
    let server = Server::start();
    enable(&server, "approle", "approle");
    enable(&server, "people", "userpass");
    server
}

fn enable(server: &Server, path: &str, kind: &str) {
    let body = json!({"type": kind});
    let answer = server.http.post(&format!("sys/auth/{path}"), &body).ok();
    assert_eq!(answer.status, 204);
}

/// Writes a role with the default policy alone; gives its role id.
fn role(server: &Server, name: &str, fields: &Value) -> String {
    let path = format!("auth/approle/role/{name}");
    assert_eq!(server.http.post(&path, fields).ok().status, 204);
    let id = server.http.get(&format!("{path}/role-id")).data();
    id["role_id"].as_str().unwrap().to_owned()
}

fn secret_id(server: &Server, role: &str, fields: &Value) -> Value {
    let path = format!("auth/approle/role/{role}/secret-id");
    server.http.post(&path, fields).data()
}

fn log_in(server: &Server, role_id: &str, secret_id: &Value) -> Answer {
    let body = json!({"role_id": role_id, "secret_id": secret_id});
    let stranger = server.http.without_token();
    stranger.post("auth/approle/login", &body)
}

fn password(server: &Server, name: &str, password: &str) -> Answer {
    let stranger = server.http.without_token();
    let body = json!({"password": password});
    stranger.post(&format!("auth/people/login/{name}"), &body)
}

/// A client with the token of a login.
fn holder(server: &Server, login: Answer) -> Http {
    let token = login.ok().json()["auth"]["client_token"].clone();
    server.http.with_token(token.as_str().unwrap())
}

fn accessor(server: &Server, path: &str) -> String {
    let shown = server.http.get(&format!("sys/auth/{path}")).data();
    shown["accessor"].as_str().unwrap().to_owned()
}
