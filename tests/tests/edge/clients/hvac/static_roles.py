"""hvac against lessor: an existing account, as Vault's database engine has it.

Arguments: address, token, name of the account. Prints the credential after the
import and after a rotation as JSON, waits for a line, and forgets the account.
"""

import json
import sys

import hvac

address, token, account = sys.argv[1:]
database = hvac.Client(url=address, token=token).secrets.database
here = {"mount_point": "db"}

created = database.create_static_role("app", "orders", account, [], rotation_period=3600, **here)
assert created.status_code == 204, created.text
role = database.read_static_role("app", **here)["data"]
assert role["username"] == account and role["db_name"] == "orders", role
assert role["rotation_period"] == 3600 and role["last_vault_rotation"], role
assert database.list_static_roles(**here)["data"]["keys"] == ["app"]

credential = database.get_static_credentials("app", **here)["data"]
assert 3500 < credential["ttl"] <= 3600 and credential["rotation_period"] == 3600, credential
print(json.dumps(credential), flush=True)
database.rotate_static_role_credentials("app", **here)
print(json.dumps(database.get_static_credentials("app", **here)["data"]), flush=True)

try:
    database.create_static_role("other", "orders", account, [], **here)
except hvac.exceptions.UnexpectedError as error:
    assert "static role app" in str(error), error
else:
    raise AssertionError("one account had two static roles")

sys.stdin.readline()
database.delete_static_role("app", **here)
try:
    database.get_static_credentials("app", **here)
except hvac.exceptions.InvalidPath as error:
    assert error.errors == [], error
else:
    raise AssertionError("a forgotten account was shown")
