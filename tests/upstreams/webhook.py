"""A webhook for the tests, as custom producers are written for Akeyless: three endpoints,
each with an opaque payload, and the habits of the examples that people start from.

    python webhook.py [PORT]

`POST /sync/create`, `/sync/revoke` and `/sync/rotate` are the protocol. What the tests ask:

    POST /control    changes how it behaves, see `BEHAVIOUR`; `next` lists, for an endpoint,
                     what it does at its next calls instead: a name in `ACTS`
    GET  /state      what exists, what was asked for, and the payload that is taken
    POST /token      access tokens (RFC 6749, 4.4) for the client `lessor`

The root credential is the member `password` of the payload.
"""

import base64
import hmac
import json
import secrets
import sys
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR = {
    # The JSON Web Token of the header is checked: {"base", "issuer", "audience", "path", "header"}.
    "verify": None,
    # Whoever calls shows an access token of /token.
    "oauth": False,
    # The whole value of the header Authorization.
    "authorization": None,
    # A call of create whose caller is `p-custom` makes nothing; False: as the echo example.
    "knows_dry_runs": True,
    # No dry run at all, as a library has it whose `allow_dry_run` is off.
    "refuses_dry_runs": False,
    # A header by which calls are known that came before.
    "idempotency": None,
    # Revoke ends everything and reports the first alone, as a shell example does.
    "reports_one": False,
    # Nothing can be ended: ids are echoed.
    "only_echoes": False,
    # A claim that the caller must have.
    "needs_claim": None,
    # Whether there is a rotate endpoint.
    "rotates": True,
    # Seconds that an access token lasts.
    "token_seconds": 3600,
}
CLIENT = ("lessor", "s3cr:t%")

LOCK = threading.RLock()
CREDENTIALS = {}
BY_KEY = {}
STATE = {"password": "first-root", "made": 0, "tokens": 0, "requests": [], "rotations": {}}
TOKENS = set()
NEXT = {}


class Refused(Exception):
    """An answer that is no success: status, body, content type."""


def plain(status, text):
    return Refused(status, text.encode(), "text/plain; charset=utf-8")


def as_json(status, value):
    return Refused(status, json.dumps(value).encode(), "application/json")


class Webhook(BaseHTTPRequestHandler):
    def do_GET(self):
        with LOCK:
            shown = {
                "credentials": CREDENTIALS,
                "behaviour": BEHAVIOUR,
                "password": STATE["password"],
                "made": STATE["made"],
                "tokens": STATE["tokens"],
                "requests": STATE["requests"],
            }
            self.answer(200, json.dumps(shown).encode(), "application/json")

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            if self.path == "/control":
                return self.control(json.loads(text))
            if self.path == "/token":
                return self.token(text)
            self.endpoint(text)
        except Refused as refused:
            self.answer(*refused.args)

    def control(self, changes):
        with LOCK:
            NEXT.update(changes.pop("next", {}))
            if "password" in changes:
                STATE["password"] = changes.pop("password")
            if changes.pop("forget_tokens", False):
                TOKENS.clear()
            BEHAVIOUR.update(changes)
        self.answer(200, b"{}", "application/json")

    def token(self, text):
        form = dict(urllib.parse.parse_qsl(text.decode()))
        shown = self.headers.get("authorization", "")
        if shown.startswith("Basic "):
            both = base64.b64decode(shown.removeprefix("Basic ")).decode()
            client = tuple(urllib.parse.unquote(part) for part in both.split(":", 1))
        else:
            client = (form.get("client_id"), form.get("client_secret"))
        if form.get("grant_type") != "client_credentials":
            raise as_json(400, {"error": "unsupported_grant_type"})
        if client != CLIENT:
            raise as_json(401, {"error": "invalid_client", "error_description": "unknown client"})
        with LOCK:
            STATE["tokens"] += 1
            token = f"access-token-{STATE['tokens']}-{secrets.token_hex(8)}"
            TOKENS.add(token)
        given = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": BEHAVIOUR["token_seconds"],
        }
        self.answer(200, json.dumps(given).encode(), "application/json")

    def endpoint(self, text):
        name = self.path.removeprefix("/sync/")
        body = json.loads(text)
        self.caller()
        with LOCK:
            key = self.key()
            STATE["requests"].append({"endpoint": name, "body": body, "key": key})
            act = (NEXT.get(name) or [None]).pop(0)
        if act is not None and act in BEFORE:
            return BEFORE[act](self)
        work = {"create": self.create, "revoke": self.revoke, "rotate": self.rotate}.get(name)
        if work is None or name == "rotate" and not BEHAVIOUR["rotates"]:
            raise plain(404, "404 page not found")
        with LOCK:
            if not self.was_rotated(name, body, key):
                self.payload(body)
            answer = work(body, key)
        if act is not None:
            return AFTER[act](self, answer)
        self.answer(200, json.dumps(answer).encode(), "application/json")

    def caller(self):
        """Whether somebody calls who may."""
        shown = self.headers.get("authorization", "")
        wanted = BEHAVIOUR["authorization"]
        if wanted is not None and not hmac.compare_digest(shown, wanted):
            raise plain(401, "invalid credentials")
        if BEHAVIOUR["oauth"] and shown.removeprefix("Bearer ") not in TOKENS:
            raise plain(401, "invalid credentials")
        if BEHAVIOUR["verify"] is not None:
            self.verify(BEHAVIOUR["verify"])

    def verify(self, wanted):
        """Checks the token of the caller by what its issuer publishes."""
        import jwt

        token = self.headers.get(wanted.get("header", "AkeylessCreds"))
        try:
            keys = jwt.PyJWKClient(f"{wanted['base']}/v1/identity/oidc/.well-known/keys")
            claims = jwt.decode(
                token or "",
                keys.get_signing_key_from_jwt(token or "").key,
                algorithms=["RS256"],
                audience=wanted["audience"],
                issuer=wanted["issuer"],
                options={"require": ["exp", "iat", "sub"]},
            )
        except Exception:
            raise plain(401, "invalid credentials") from None
        if claims["path"] != wanted["path"]:
            raise plain(401, "invalid credentials")

    def key(self):
        name = BEHAVIOUR["idempotency"]
        return name and self.headers.get(name)

    def was_rotated(self, name, body, key):
        """Whether this is the rotation that a key stands for once more, with the payload that
        it began with: who had that one then gets the new one again."""
        if name != "rotate" or key not in STATE["rotations"]:
            return False
        return json.loads(body["payload"])["password"] == STATE["rotations"][key][0]

    def payload(self, body):
        if not isinstance(body["payload"], str):
            raise plain(400, "payload must be a string")
        try:
            password = json.loads(body["payload"])["password"]
        except Exception:
            raise plain(400, f"cannot read payload {body['payload']}") from None
        if password != STATE["password"]:
            raise plain(401, f"login of root with password {password} failed")

    def create(self, body, key):
        info = body["client_info"]
        if not isinstance(info["sub_claims"], dict):
            raise plain(400, "sub_claims must be a map")
        dry = info["access_id"] == "p-custom"
        if dry and BEHAVIOUR["refuses_dry_runs"]:
            raise plain(401, "access id p-custom is not allowed")
        if dry and BEHAVIOUR["knows_dry_runs"]:
            return {"id": "", "response": None}
        if body["input"] != "" and not isinstance(body["input"], dict):
            raise plain(400, "input must be an object")
        claim = BEHAVIOUR["needs_claim"]
        if claim and not info["sub_claims"].get(claim):
            raise plain(400, f"missing sub-claim {claim}")
        if key in BY_KEY:
            name = BY_KEY[key]
        else:
            STATE["made"] += 1
            name = f"tmp-{STATE['made']}"
        if key:
            BY_KEY[key] = name
        password = secrets.token_urlsafe(12)
        CREDENTIALS[name] = {"input": body["input"], "info": info, "password": password}
        return {"id": name, "response": {"username": name, "password": password}}

    def revoke(self, body, key):
        ids = body["ids"]
        if not isinstance(ids, list) or not all(isinstance(found, str) for found in ids):
            raise plain(400, "ids must be strings")
        if not ids and key in BY_KEY:
            ids = [BY_KEY[key]]
        if not BEHAVIOUR["only_echoes"]:
            for found in ids:
                CREDENTIALS.pop(found, None)
        if BEHAVIOUR["reports_one"]:
            return {"revoked": ids[:1], "message": "one at a time"}
        return {"revoked": ids}

    def rotate(self, body, key):
        if key and key in STATE["rotations"]:
            new = STATE["rotations"][key][1]
        else:
            new = f"root-{secrets.token_hex(8)}"
            if key:
                STATE["rotations"][key] = (STATE["password"], new)
            # As every example does: before anybody has stored it.
            STATE["password"] = new
        return {"payload": json.dumps({**json.loads(body["payload"]), "password": new})}

    def answer(self, status, body, kind, headers=()):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def text(self, status, text, kind="text/plain"):
        self.answer(status, text.encode(), kind)

    def log_message(self, *_):
        pass


def lost(webhook, _):
    """The work is done, and its answer never arrives."""
    webhook.close_connection = True
    webhook.connection.close()


def changed(**changes):
    """The answer with members changed; None takes one away."""

    def act(webhook, answer):
        for name, value in changes.items():
            if value is None:
                answer.pop(name, None)
            else:
                answer[name] = value(answer) if callable(value) else value
        webhook.text(200, json.dumps(answer), "application/json")

    return act


def numbered(webhook, answer):
    """The id is a number, and known to revoke by its digits."""
    with LOCK:
        number = 1000 + STATE["made"]
        CREDENTIALS[str(number)] = CREDENTIALS.pop(answer["id"])
    webhook.text(200, json.dumps({**answer, "id": number}), "application/json")


# Instead of the work.
BEFORE = {
    "plain-500": lambda hook: hook.text(500, "the target system is on fire\n"),
    "plain-400": lambda hook: hook.text(400, "missing sub-claim team"),
    "json-400": lambda hook: hook.text(400, '{"error": "no such region"}', "application/json"),
    "echo-400": lambda hook: hook.text(400, f"bad payload, password {STATE['password']}"),
    "html-502": lambda hook: hook.text(502, "<html>Bad Gateway</html>", "text/html"),
    "slow-429": lambda hook: hook.answer(
        429, b"slow down", "text/plain", [("retry-after", "7")]
    ),
    "redirect": lambda hook: hook.answer(
        302, b"", "text/plain", [("location", "http://127.0.0.1:1/elsewhere")]
    ),
    "missing": lambda hook: hook.text(404, "404 page not found"),
    "error-200": lambda hook: hook.text(200, '{"error": "quota reached"}', "application/json"),
    "refuses": lambda hook: hook.text(
        200, '{"revoked": [], "message": "still in use"}', "application/json"
    ),
    "empty": lambda hook: hook.text(200, '{"id": "", "response": {}}', "application/json"),
    "same-payload": lambda hook: hook.text(
        200, json.dumps({"payload": STATE["requests"][-1]["body"]["payload"]}), "application/json"
    ),
}

# After it.
AFTER = {
    "lost": lost,
    "not-json": lambda hook, _: hook.text(200, "<html>Welcome</html>", "text/html"),
    "huge": lambda hook, _: hook.text(200, json.dumps({"x": "x" * (1 << 20)}), "application/json"),
    "number-id": numbered,
    "no-id": changed(id=None),
    "no-response": changed(response=None),
    "secret-id": changed(response=lambda answer: {"token": "token-" + answer["id"]}, id=lambda answer: "token-" + answer["id"]),
    "list": lambda hook, _: hook.text(200, "[]", "application/json"),
    "object-payload": changed(payload=lambda answer: json.loads(answer["payload"])),
    "no-payload": changed(payload=None),
}


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int((sys.argv + ["0"])[1])), Webhook)
    server.daemon_threads = True
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
