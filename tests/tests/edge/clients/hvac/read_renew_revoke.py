"""hvac against lessor: what an application does with a leased credential.

Arguments: address, token. Prints the credential as JSON, waits for a line, and
revokes it.
"""

import json
import sys

import hvac

address, token = sys.argv[1:]
client = hvac.Client(url=address, token=token)
assert client.is_authenticated()
assert client.sys.read_health_status(method="GET")["initialized"]
assert client.lookup_token()["data"]["policies"] == ["root"]
assert "db/" in client.sys.list_mounted_secrets_engines()["data"]
assert client.list("db/roles")["data"]["keys"] == ["reader"]
assert client.secrets.database.list_roles(mount_point="db")["data"]["keys"] == ["reader"]

lease = client.secrets.database.generate_credentials("reader", mount_point="db")
print(json.dumps({"lease_id": lease["lease_id"], **lease["data"]}), flush=True)

found = client.sys.read_lease(lease["lease_id"])["data"]
assert found["id"] == lease["lease_id"] and found["ttl"] > 3500, found
renewed = client.sys.renew_lease(lease["lease_id"], increment=7200)
assert 7190 <= renewed["lease_duration"] <= 7200, renewed
assert client.sys.list_leases("db/creds/reader")["data"]["keys"] == [
    lease["lease_id"].rsplit("/", 1)[1]
]

for wrong, call in [
    (hvac.exceptions.Forbidden, lambda: hvac.Client(address, "wrong").read("db/creds/reader")),
    (hvac.exceptions.InvalidRequest, lambda: client.write("db/roles/x", member_off=["y"])),
    (hvac.exceptions.InvalidRequest, lambda: client.sys.read_lease("db/creds/reader/x")),
]:
    try:
        call()
    except wrong as error:
        assert error.errors, error
    else:
        raise AssertionError(f"{wrong} was not raised")
assert client.read("db/roles/nosuch") is None

print("renewed", flush=True)
sys.stdin.readline()
client.sys.revoke_lease(lease["lease_id"])
