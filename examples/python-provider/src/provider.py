"""Leases accounts of any system that makes them by `PUT <url>/accounts/<name>`,
ends them by `DELETE`, and takes a new root token by `PUT <url>/token`.

What it makes is named and derived from the operation, so that a call which the
host repeats makes the same again, and a crash at any point leaves nothing behind.
"""

import json
from typing import Optional
from urllib.parse import quote

from componentize_py_types import Err
from http_client import Unreachable, request
from wit_world import exports
from wit_world.imports import host
from wit_world.imports.lessor_plugin_types import (
    Context,
    Credential,
    Descriptor,
    Failure,
    FailureClass,
    Revocation,
    Revocation_Credential,
    Revocation_FormerRoot,
    RevocationShape,
    Rotated,
    Rotation,
    Rotation_Root,
    Validation,
)

# JSON Schemas of what goes in and out. `writeOnly` marks a secret.
TEXT = {"type": "string", "minLength": 1}
SECRET = {**TEXT, "writeOnly": True}


def fields(**properties) -> str:
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


class Provider(exports.Provider):
    def describe(self) -> Descriptor:
        return Descriptor(
            name="accounts-py",
            version="0.1.0",
            summary="Accounts over HTTP, in Python",
            config_schema=fields(url=TEXT, token=SECRET),
            role_schema=fields(),
            request_schema=fields(),
            credential_schema=fields(username=TEXT, password=SECRET),
            endpoints=["{url}"],
            name_limit=64,
            revocation=RevocationShape.DELETES,
            privileges=[],
            propagation_s=0,
            dialect=[],
        )

    def validate_config(self, ctx: Context, config: str, role: Optional[str]) -> Validation:
        call(json.loads(config), "GET", "/accounts")
        return Validation(identity=None, warnings=[])

    def create(
        self, ctx: Context, config: str, role: str, request: str, expires_at: Optional[int]
    ) -> Credential:
        name, password = ctx.principal_name, derived_secret("password")
        account = {"password": password, "expires_at": expires_at}
        call(json.loads(config), "PUT", f"/accounts/{quote(name)}", account)
        host.log(host.Level.INFO, "made an account", [("name", name)])
        data = json.dumps({"username": name, "password": password})
        return Credential(id=name, data=data, metadata="{}", expires_in_s=None, effective_in_s=None)

    def revoke(self, ctx: Context, config: str, role: Optional[str], what: Revocation) -> None:
        if isinstance(what, Revocation_FormerRoot):
            return  # Upstream keeps one token only.
        # Where the answer to `create` was lost, the name is the same as then.
        known = isinstance(what, Revocation_Credential)
        name = what.value if known else ctx.principal_name
        try:
            call(json.loads(config), "DELETE", f"/accounts/{quote(name)}")
        except Err as error:
            if error.value.class_ != FailureClass.NOT_FOUND:
                raise  # Gone is what was asked for; anything else is not.

    def rotate(self, ctx: Context, config: str, what: Rotation) -> Rotated:
        if not isinstance(what, Rotation_Root):
            raise failure(
                FailureClass.UNSUPPORTED, "no_accounts", "This provider rotates its root token only."
            )
        # Upstream keeps one token. Where an earlier attempt has already replaced
        # it, the new one, derived again, is what it takes.
        current = json.loads(config)
        new = {**current, "token": derived_secret("token")}
        try:
            call(current, "PUT", "/token", {"token": new["token"]})
        except Err as error:
            if error.value.class_ != FailureClass.DENIED:
                raise
            call(new, "GET", "/accounts")
        return Rotated(secret=json.dumps(new), retires=None, metadata="{}")


class Renewal(exports.Renewal):
    def renew(
        self, ctx: Context, config: str, role: str, id: str, expires_at: Optional[int]
    ) -> None:
        call(json.loads(config), "PATCH", f"/accounts/{quote(id)}", {"expires_at": expires_at})


def derived_secret(label: str) -> str:
    """256 bits that only the host can compute, the same for every attempt."""
    return host.derive(label, 32).hex()


def call(config: dict, method: str, path: str, body: Optional[dict] = None) -> None:
    """One request to upstream; what is no success is raised as the contract's failure."""
    headers = {"authorization": f"Bearer {config['token']}", "content-type": "application/json"}
    sent = json.dumps(body).encode() if body is not None else b""
    try:
        status, answer = request(method, config["url"] + path, headers, sent)
    except Unreachable as error:
        raise failure(
            FailureClass.UNAVAILABLE, "unreachable", f"{config['url']} gave no answer: {error}."
        ) from error
    if status < 300:
        return
    class_ = FailureClass.UNAVAILABLE if status >= 500 else FailureClass.INTERNAL
    reason = answer.decode(errors="replace")[:200]
    raise failure(
        CLASSES.get(status, class_), f"http_{status}", f"{method} {path} answered {status}: {reason}"
    )


CLASSES = {
    400: FailureClass.INVALID_REQUEST,
    401: FailureClass.DENIED,
    403: FailureClass.DENIED,
    404: FailureClass.NOT_FOUND,
    409: FailureClass.CONFLICT,
    429: FailureClass.RATE_LIMITED,
}


def failure(class_: FailureClass, code: str, message: str) -> Err[Failure]:
    return Err(Failure(class_, code, message, retry_after_ms=None))
