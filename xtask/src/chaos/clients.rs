//! The load: clients that issue, use, renew, revoke and rotate, and write down the answers.

use serde_json::{Value, json};

use super::api::{Api, Reply};
use super::gate::Gate;
use super::ledger::{Credential, Ledger};
use super::login::{Login, Logins};
use super::random::Random;
use super::system::{FULL, System};

/// One client.
pub(super) struct Client<'a> {
    /// The system under test.
    pub(super) system: &'a dyn System,
    /// The client of its API.
    pub(super) api: &'a Api,
    /// The database, where credentials are used.
    pub(super) logins: &'a Logins<'a>,
    /// The answers to all clients.
    pub(super) ledger: &'a Ledger,
    /// Whether the server is up.
    pub(super) gate: &'a Gate,
    /// This client's decisions.
    pub(super) random: Random,
    /// Share of requests that rotate the root credential, in percent.
    pub(super) rotate: u64,
}

/// Shares of the requests that are no rotations, in percent; the rest issue.
const REVOKE: u64 = 30;
const RENEW: u64 = 10;
const USE: u64 = 10;

/// The share of the credentials just issued that are used at once, in percent.
const USE_AT_ONCE: u64 = 15;

impl Client<'_> {
    /// Works until the gate ends it.
    pub(super) fn work(mut self) {
        while self.gate.pass() {
            self.act();
        }
    }

    fn act(&mut self) {
        if self.random.chance(self.rotate) {
            return self.rotate_root();
        }
        let choice = self.random.below(100);
        // A client that works on a credential has taken it out of the list, so that no other
        // client revokes it meanwhile.
        let taken = |client: &mut Self| {
            let mut books = client.ledger.books();
            client.random.take(&mut books.held)
        };
        let full = self.ledger.books().held.len() >= FULL;
        if (choice < REVOKE || full)
            && let Some(credential) = taken(self)
        {
            self.revoke(credential);
        } else if (REVOKE..REVOKE + RENEW).contains(&choice)
            && let Some(credential) = taken(self)
        {
            self.renew(credential);
        } else if (REVOKE + RENEW..REVOKE + RENEW + USE).contains(&choice)
            && let Some(credential) = taken(self)
        {
            self.use_and_hold(credential);
        } else {
            self.issue();
        }
    }

    fn issue(&mut self) {
        let said = match self.api.ask("GET", self.system.creds(), None) {
            Reply::Answered(200, said) => said,
            other => return self.not_done(other),
        };
        let Some(credential) = Credential::read(&said) else {
            return self.not_done(Reply::Answered(200, json!("a credential without a part")));
        };
        self.ledger.books().counts.issued += 1;
        if self.random.chance(USE_AT_ONCE) {
            self.use_and_hold(credential);
        } else {
            self.ledger.books().held.push(credential);
        }
    }

    fn use_and_hold(&self, credential: Credential) {
        let login = self.logins.attempt(&credential);
        let mut books = self.ledger.books();
        match login {
            Login::Accepted => books.counts.logins += 1,
            Login::Refused => books.rejected.push(credential.username.clone()),
            Login::Inconclusive => {}
        }
        books.held.push(credential);
    }

    fn renew(&self, credential: Credential) {
        let body = json!({ "lease_id": credential.lease, "increment": 12 * 3600 });
        let reply = self.api.ask("PUT", "sys/leases/renew", Some(&body));
        let mut books = self.ledger.books();
        books.held.push(credential);
        if let Reply::Answered(200, _) = reply {
            books.counts.renewed += 1;
            return;
        }
        drop(books);
        self.not_done(reply);
    }

    fn revoke(&self, credential: Credential) {
        // `sync`: the answer is that it is gone upstream, not that it will be.
        let body = json!({ "lease_id": credential.lease, "sync": true });
        let reply = self.api.ask("PUT", "sys/leases/revoke", Some(&body));
        let mut books = self.ledger.books();
        if let Reply::Answered(204, _) = reply {
            books.revoked.push(credential);
            books.counts.revoked += 1;
            return;
        }
        books.unsure.push(credential);
        drop(books);
        self.not_done(reply);
    }

    fn rotate_root(&self) {
        match self.api.ask("POST", self.system.rotate(), None) {
            Reply::Answered(200..=299, _) => self.ledger.books().counts.rotated += 1,
            other => self.not_done(other),
        }
    }

    fn not_done(&self, reply: Reply) {
        let mut books = self.ledger.books();
        match reply {
            Reply::Answered(status, said) => {
                let said = match said.pointer("/errors/0").and_then(Value::as_str) {
                    Some(error) => error.to_owned(),
                    None => said.to_string(),
                };
                books.refuse(status, &said);
            }
            Reply::Silent => books.counts.unanswered += 1,
        }
    }
}
