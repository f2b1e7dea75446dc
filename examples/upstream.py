"""A toy upstream for the examples: accounts in memory, and one root token.

    python3 upstream.py 9000

To whoever sends the token, which is `toy-token` at first, it serves

    GET    /accounts          the names of the accounts that exist
    GET    /accounts/<name>   when an account ends, in Unix seconds
    PUT    /accounts/<name>   makes one, of {"password": …, "expires_at": …}
    PATCH  /accounts/<name>   moves its end: {"expires_at": …}
    DELETE /accounts/<name>   ends it
    PUT    /token             replaces the token: {"token": …}
    PUT    /tokens/<name>     adds one that is taken beside it: {"token": …}
    DELETE /tokens/<name>     ends one; the first is called `first`

and `GET /login` says whether an account's name and password are right, `GET
/tokens` how the tokens are called. Each request is logged.
"""

import base64
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNTS = {}
TOKENS = {"first": "toy-token"}


class Upstream(BaseHTTPRequestHandler):
    def handle_any(self):
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(text or b"{}")
        if self.path == "/login":
            return self.login()
        if (self.command, self.path) == ("GET", "/tokens"):
            return self.answer(200, sorted(TOKENS))
        shown = self.headers.get("authorization", "")
        if not any(hmac.compare_digest(shown, f"Bearer {token}") for token in TOKENS.values()):
            return self.answer(401, {"error": "that is not the root token"})
        if (self.command, self.path) == ("PUT", "/token"):
            TOKENS["first"] = body["token"]
            return self.answer(200)
        if self.path.startswith("/tokens/"):
            return self.tokens(self.path.removeprefix("/tokens/"), body)
        name = self.path.removeprefix("/accounts").strip("/")
        if not name:
            return self.answer(200, sorted(ACCOUNTS))
        if self.command == "PUT":
            status = 200 if name in ACCOUNTS else 201
            ACCOUNTS[name] = body
            return self.answer(status)
        if name not in ACCOUNTS:
            return self.answer(404, {"error": f"there is no account {name}"})
        if self.command == "PATCH":
            ACCOUNTS[name].update(body)
        elif self.command == "DELETE":
            del ACCOUNTS[name]
            return self.answer(204)
        return self.answer(200, {"expires_at": ACCOUNTS[name].get("expires_at")})

    do_GET = do_PUT = do_PATCH = do_DELETE = handle_any

    def tokens(self, name, body):
        if self.command == "PUT":
            TOKENS[name] = body["token"]
            return self.answer(200)
        return self.answer(200 if TOKENS.pop(name, None) else 404)

    def login(self):
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        name, _, password = base64.b64decode(given).decode().partition(":")
        known = ACCOUNTS.get(name, {}).get("password", "")
        right = scheme == "Basic" and known and hmac.compare_digest(password, known)
        return self.answer(200 if right else 401)

    def answer(self, status, body=None):
        text = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        if text:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Upstream)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
