"""hvac against lessor: AppRole.

Arguments: address, token; the mount is `db`, its role `reader`.
"""

from shared import another, client, done, hvac, may_only_read, refused, write_policy

role, stranger, wrong = client.auth.approle, another().auth.approle, hvac.exceptions
write_policy()
done(client.sys.enable_auth_method("approle"))
settings = {
    "token_policies": ["app"],
    "token_ttl": "10m",
    "token_max_ttl": "20m",
    "secret_id_ttl": "1h",
    "secret_id_num_uses": 5,
    "token_bound_cidrs": ["127.0.0.0/8"],
}
done(role.create_or_update_approle("app", **settings))
shown = role.read_role("app")["data"]
assert shown["token_ttl"] == 600 and shown["token_policies"] == ["app"], shown
assert shown["secret_id_num_uses"] == 5 and shown["bind_secret_id"] is True, shown
assert role.list_roles()["data"]["keys"] == ["app"]

# A secret id, and a login with it.
role_id = role.read_role_id("app")["data"]["role_id"]
made = role.generate_secret_id("app", metadata={"build": "7"})["data"]
assert made["secret_id_ttl"] == 3600, made
answer = stranger.login(role_id, made["secret_id"])
assert answer["auth"]["lease_duration"] == 600, answer
assert answer["auth"]["metadata"]["role_name"] == "app", answer
assert answer["auth"]["metadata"]["build"] == "7", answer
app = may_only_read(answer)
assert app.auth.token.renew_self(increment="15m")["auth"]["lease_duration"] == 900
for found in [
    role.read_secret_id("app", made["secret_id"]),
    role.read_secret_id_accessor("app", made["secret_id_accessor"]),
]:
    assert found["data"]["secret_id_accessor"] == made["secret_id_accessor"], found
    assert found["data"]["metadata"] == {"build": "7"}, found
assert role.list_secret_id_accessors("app")["data"]["keys"] == [made["secret_id_accessor"]]
refused(wrong.InvalidRequest, stranger.login, role_id, "wrong")
refused(wrong.InvalidRequest, stranger.login, "wrong", made["secret_id"])

# Ids of one's own, and the end of each.
done(role.update_role_id("app", "orders"))
own = role.create_custom_secret_id("app", "of-my-own-making")["data"]
assert own["secret_id"] == "of-my-own-making", own
may_only_read(another().auth.approle.login("orders", "of-my-own-making"))
refused(wrong.InvalidRequest, stranger.login, role_id, "of-my-own-making")
done(role.destroy_secret_id("app", made["secret_id"]))
refused(wrong.InvalidRequest, stranger.login, "orders", made["secret_id"])
done(role.destroy_secret_id_accessor("app", own["secret_id_accessor"]))
refused(wrong.InvalidRequest, stranger.login, "orders", "of-my-own-making")

# A wrapped secret id, as it is handed to a machine.
wrapped = role.generate_secret_id("app", wrap_ttl="1m")["wrap_info"]
inside = another(wrapped["token"]).sys.unwrap()["data"]
may_only_read(another().auth.approle.login("orders", inside["secret_id"]))

# Without the role and without the method.
done(role.delete_role("app"))
refused(wrong.InvalidPath, role.read_role, "app")
refused(wrong.InvalidRequest, stranger.login, "orders", inside["secret_id"])
done(client.sys.disable_auth_method("approle"))
assert not app.is_authenticated()
refused(wrong.Forbidden, app.read, "db/creds/reader")
