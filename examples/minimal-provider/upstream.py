"""A toy upstream for this example: accounts in memory, made by PUT, ended by DELETE.

    python3 upstream.py 9000

Serves http://127.0.0.1:9000/accounts to whoever sends the token `root`, and
logs each request. GET shows the names of the accounts that exist.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNTS = {}


class Accounts(BaseHTTPRequestHandler):
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        name = self.path.removeprefix("/accounts").strip("/")
        if self.headers.get("authorization") != "Bearer root":
            self.answer(401)
        elif self.command == "PUT":
            status = 200 if name in ACCOUNTS else 201
            ACCOUNTS[name] = json.loads(body)["password"]
            self.answer(status)
        elif self.command == "DELETE":
            self.answer(204 if ACCOUNTS.pop(name, None) else 404)
        else:
            self.answer(200, json.dumps(sorted(ACCOUNTS)).encode())

    do_GET = do_PUT = do_DELETE = handle_any

    def answer(self, status, body=b""):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Accounts)
    print(f"listening on http://127.0.0.1:{server.server_port}/accounts", flush=True)
    server.serve_forever()
