"""hvac against lessor: tokens, their roles, and wrapped answers.

Arguments: address, token; the mount is `db`, its role `reader`.
"""

from shared import another, client, done, hvac, refused

tokens, wrong = client.auth.token, hvac.exceptions
client.sys.create_or_update_policy(
    "app",
    """
    path "db/creds/reader" { capabilities = ["read"] }
    path "auth/token/create" { capabilities = ["update"] }
    """,
)

# Made, looked up in every way, renewed in every way.
made = tokens.create(policies=["app"], ttl="1h", display_name="orders", meta={"team": "red"}, explicit_max_ttl="3h")
auth = made["auth"]
assert auth["policies"] == ["app", "default"] and auth["renewable"], auth
assert auth["lease_duration"] == 3600 and auth["metadata"] == {"team": "red"}, auth
text, accessor = auth["client_token"], auth["accessor"]
orders = another(text)
for found in [
    tokens.lookup(text),
    tokens.lookup_accessor(accessor),
    orders.auth.token.lookup_self(),
    orders.lookup_token(),
    client.lookup_token(text),
    client.lookup_token(accessor, accessor=True),
]:
    data = found["data"]
    assert data["display_name"] == "token-orders" and data["meta"] == {"team": "red"}, data
    assert 3590 <= data["ttl"] <= 3600 and data["explicit_max_ttl"] == 10800, data
    assert data["accessor"] == accessor and data["path"] == "auth/token/create", data
assert tokens.lookup_accessor(accessor)["data"]["id"] == ""
assert accessor in tokens.list_accessors()["data"]["keys"]
for renewed in [
    tokens.renew(text, increment="2h"),
    orders.auth.token.renew_self(increment="2h"),
    tokens.renew_accessor(accessor, increment="2h"),
    client.renew_token(text, increment="2h"),
]:
    assert 7190 <= renewed["auth"]["lease_duration"] <= 7200, renewed
assert orders.is_authenticated() and orders.read("db/creds/reader")["lease_id"]

# Revoked in every way.
child = orders.auth.token.create(ttl="30m")["auth"]
heir = orders.auth.token.create(ttl="30m")["auth"]
orphan = tokens.create_orphan(policies=["app"])["auth"]
done(tokens.revoke_accessor(heir["accessor"]))
assert not another(heir["client_token"]).is_authenticated()
refused(wrong.Forbidden, another(heir["client_token"]).read, "db/creds/reader")
done(tokens.revoke_and_orphan_children(text))
assert not orders.is_authenticated() and another(child["client_token"]).is_authenticated()
done(tokens.revoke(child["client_token"]))
assert not another(child["client_token"]).is_authenticated()
other = another(orphan["client_token"])
assert other.lookup_token()["data"]["orphan"] is True
other.logout(revoke_token=True)
assert not another(orphan["client_token"]).is_authenticated()
refused(wrong.Forbidden, tokens.lookup, "nosuch")
refused(wrong.InvalidRequest, tokens.lookup_accessor, "nosuch")

# A parent takes its children along, and their leases.
parent = another(tokens.create(policies=["app"])["auth"]["client_token"])
child = another(parent.auth.token.create()["auth"]["client_token"])
assert child.read("db/creds/reader")["lease_id"]
parent.auth.token.revoke_self()
assert not child.is_authenticated()

# Few uses, a period, no default.
few = another(tokens.create(policies=["app"], num_uses=2)["auth"]["client_token"])
assert few.is_authenticated() and few.is_authenticated() and not few.is_authenticated()
periodic = tokens.create(policies=["app"], period="1h", no_default_policy=True)["auth"]
assert periodic["policies"] == ["app"] and periodic["lease_duration"] == 3600, periodic
refused(wrong.Forbidden, another(periodic["client_token"]).lookup_token)
refused(wrong.InvalidRequest, tokens.create, ttl="soon")

# Roles.
role = {"allowed_policies": ["app"], "orphan": True, "token_period": "2h", "path_suffix": "batch"}
assert tokens.create_or_update_role("batch", **role).status_code in (200, 204)
shown = tokens.read_role("batch")["data"]
assert shown["allowed_policies"] == ["app"] and shown["token_period"] == 7200, shown
assert tokens.list_roles()["data"]["keys"] == ["batch"]
of_role = tokens.create(role_name="batch")["auth"]
assert of_role["orphan"] is True and of_role["lease_duration"] == 7200, of_role
path = tokens.lookup(of_role["client_token"])["data"]["path"]
assert path == "auth/token/create/batch/batch", path
refused(wrong.InvalidRequest, tokens.create, role_name="batch", policies=["root"])
done(tokens.delete_role("batch"))
refused(wrong.InvalidPath, tokens.read_role, "batch")
assert tokens.tidy().status_code == 202

# Wrapped answers.
wrapped = tokens.create(policies=["app"], wrap_ttl="5m")
assert wrapped["auth"] is None and wrapped["wrap_info"]["ttl"] == 300, wrapped
assert wrapped["wrap_info"]["creation_path"] == "auth/token/create", wrapped
inside = client.sys.unwrap(wrapped["wrap_info"]["token"])
assert another(inside["auth"]["client_token"]).is_authenticated()
refused(wrong.InvalidRequest, client.sys.unwrap, wrapped["wrap_info"]["token"])
wrapped = client.sys.wrap({"a": "b"}, ttl=60)["wrap_info"]
assert another(wrapped["token"]).sys.unwrap()["data"] == {"a": "b"}
refused((wrong.InvalidRequest, wrong.Forbidden), another(wrapped["token"]).sys.unwrap)
wrapped = client.read("db/creds/reader", wrap_ttl="1m")["wrap_info"]
looked = client.write("sys/wrapping/lookup", token=wrapped["token"])["data"]
assert looked["creation_path"] == "db/creds/reader" and looked["creation_ttl"] == 60, looked
assert another(wrapped["token"]).read("sys/wrapping/lookup")["data"] == looked
again = client.write("sys/wrapping/rewrap", token=wrapped["token"])["wrap_info"]
credential = another(again["token"]).sys.unwrap()
assert credential["data"]["username"] and credential["lease_id"], credential
handed_on = tokens.create(policies=["app"], wrap_ttl="1m")["wrap_info"]["token"]
receiver = another()
receiver.auth_cubbyhole(handed_on)
assert receiver.is_authenticated()
