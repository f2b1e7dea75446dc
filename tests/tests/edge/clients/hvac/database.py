"""hvac against lessor: the paths that mounts share with Vault's database engine.

Arguments: address, token; the mount is `db`, its role `reader`.
"""

from shared import another, client, done, hvac, refused

database, wrong, here = client.secrets.database, hvac.exceptions, {"mount_point": "db"}

# The generic words.
client.write("db/roles/more", member_of=["harness_readers"], default_ttl="30m")
role = client.read("db/roles/more")["data"]
assert role["default_ttl"] == 1800 and role["member_of"] == ["harness_readers"], role
client.write_data("db/roles/more", data={"member_of": "harness_readers", "max_ttl": 3600})
assert client.list("db/roles")["data"]["keys"] == ["more", "reader"]
assert client.read("db/roles/nosuch") is None and client.list("db/nosuch") is None
lease = client.write("db/creds/more", ttl="10m")
assert lease["lease_duration"] == 600, lease
client.delete("db/roles/more")
assert client.list("db/roles")["data"]["keys"] == ["reader"]
refused(wrong.InvalidRequest, client.write, "db/roles/more", member_off=["x"])

# The words of the database engine.
assert database.list_roles(**here)["data"]["keys"] == ["reader"]
assert database.read_role("reader", **here)["data"]["default_ttl"] == 3600
credential = database.generate_credentials("reader", **here)
assert credential["data"]["username"] and credential["lease_id"].startswith("db/creds/reader/")
refused(wrong.InvalidPath, database.generate_credentials, "nosuch", **here)
statements = ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"]
ended = ["DROP ROLE IF EXISTS \"{{name}}\""]
done(
    database.create_role(
        "app",
        "orders",
        statements,
        default_ttl="1h",
        max_ttl="2h",
        revocation_statements=ended,
        **here,
    )
)
role = database.read_role("app", **here)["data"]
assert role["creation_statements"] == statements and role["max_ttl"] == 7200, role
assert role["revocation_statements"] == ended, role
assert database.generate_credentials("app", **here)["lease_duration"] == 3600
done(database.delete_role("app", **here))
done(database.delete_role("app", **here))
refused(wrong.InvalidPath, database.read_role, "app", **here)

# A mount's connections; the one without a name in the config is `default`.
assert database.list_connections(**here)["data"]["keys"] == ["default"]
assert database.read_connection("default", **here)["data"]["version"] == 1
done(database.reset_connection("default", **here))
rotated = database.rotate_root_credentials("default", **here)
assert rotated["data"]["version"] == 2, rotated
assert database.generate_credentials("reader", **here)["data"]["username"]
for call in [database.read_connection, database.reset_connection, database.rotate_root_credentials]:
    refused(wrong.InvalidPath, call, "orders", **here)
done(database.delete_connection("orders", **here))

refused(wrong.Forbidden, another("wrong").read, "db/creds/reader")
refused(wrong.Forbidden, another().read, "db/creds/reader")
assert not another("wrong").is_authenticated() and not another().is_authenticated()
