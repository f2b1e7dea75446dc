"""hvac against lessor: policies, and what they come to.

Arguments: address, token; the mount is `db`, its role `reader`.
"""

import json

from shared import another, client, done, hvac, refused

sys_, wrong = client.sys, hvac.exceptions
TEXT = """
# What the application does.
path "db/creds/reader" { capabilities = ["read"] }
path "sys/leases/+" { capabilities = ["update"] }
path "db/roles" { capabilities = ["list"] }
"""
FORM = {"path": {"db/roles/*": {"capabilities": ["read", "create"]}}}

# Both generations of paths.
assert {"default", "root"} <= set(sys_.list_policies()["data"]["policies"])
assert {"default", "root"} <= set(sys_.list_acl_policies()["data"]["keys"])
done(sys_.create_or_update_policy("app", TEXT))
done(sys_.create_or_update_acl_policy("form", FORM))
assert sys_.read_policy("app")["data"]["rules"] == TEXT
assert sys_.read_acl_policy("app")["data"]["policy"] == TEXT
assert client.get_policy("app") == TEXT and client.get_policy("nosuch") is None
assert json.loads(sys_.read_acl_policy("form")["data"]["policy"]) == FORM
assert "app" in sys_.list_acl_policies()["data"]["keys"]
refused(wrong.InvalidRequest, sys_.create_or_update_policy, "bad", 'path "x" {')
refused(wrong.InvalidRequest, sys_.create_or_update_policy, "root", TEXT)
refused(wrong.InvalidRequest, sys_.delete_policy, "root")
refused(wrong.InvalidPath, sys_.read_acl_policy, "nosuch")

# A token with these policies may do exactly what they allow.
made = client.auth.token.create(policies=["app", "form"], ttl="1h")["auth"]
app = another(made["client_token"])
assert app.read("db/creds/reader")["lease_id"]
assert app.list("db/roles")["data"]["keys"] == ["reader"]
assert app.read("db/roles/reader")["data"]["default_ttl"] == 3600
refused(wrong.Forbidden, app.read, "db/config")
refused(wrong.Forbidden, app.delete, "db/roles/reader")
refused(wrong.Forbidden, app.sys.list_policies)

for capabilities in [
    app.sys.get_capabilities(["db/creds/reader", "db/roles/x", "sys/mounts"]),
    sys_.get_capabilities(["db/creds/reader", "db/roles/x", "sys/mounts"], token=made["client_token"]),
    sys_.get_capabilities(["db/creds/reader", "db/roles/x", "sys/mounts"], accessor=made["accessor"]),
]:
    data = capabilities["data"]
    assert data["db/creds/reader"] == ["read"], data
    assert sorted(data["db/roles/x"]) == ["create", "read"], data
    assert data["sys/mounts"] == ["deny"], data
assert sys_.get_capabilities(["sys/mounts"])["data"]["sys/mounts"] == ["root"]

# A changed policy counts at once, also for tokens that are there.
done(sys_.create_or_update_policy("app", 'path "db/creds/reader" { capabilities = ["deny"] }'))
refused(wrong.Forbidden, app.read, "db/creds/reader")
done(sys_.delete_policy("form"))
refused(wrong.Forbidden, app.read, "db/roles/reader")
done(sys_.delete_acl_policy("app"))
refused(wrong.InvalidPath, sys_.read_policy, "app")
