"""Verifies a token by a library that is not the server's own.

    python3 verify.py BASE ISSUER AUDIENCE < TOKEN

The issuer's documents are asked for at BASE, where the server is, whatever host
the issuer's name has. Prints the claims, or fails.
"""

import json
import sys
import urllib.parse
import urllib.request

import jwt

base, issuer, audience = sys.argv[1:]
token = sys.stdin.read().strip()


def here(url):
    return base + urllib.parse.urlsplit(url).path


def fetch(url):
    with urllib.request.urlopen(here(url), timeout=30) as answer:
        return json.load(answer), answer.headers["cache-control"]


discovered, kept = fetch(issuer + "/.well-known/openid-configuration")
assert discovered["issuer"] == issuer, discovered
assert discovered["id_token_signing_alg_values_supported"] == ["RS256"], discovered
_, keys_kept = fetch(discovered["jwks_uri"])
assert kept == keys_kept == "public, max-age=3600", (kept, keys_kept)

keys = jwt.PyJWKClient(here(discovered["jwks_uri"]))
claims = jwt.decode(
    token,
    keys.get_signing_key_from_jwt(token).key,
    algorithms=["RS256"],
    audience=audience,
    issuer=issuer,
    options={"require": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"]},
)
json.dump(claims, sys.stdout)
