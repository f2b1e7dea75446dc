"""hvac against lessor: names and passwords.

Arguments: address, token; the mount is `db`, its role `reader`.
"""

from shared import another, client, done, hvac, may_only_read, refused, write_policy

users, stranger, wrong = client.auth.userpass, another().auth.userpass, hvac.exceptions
write_policy()
done(client.sys.enable_auth_method("userpass", path="people"))
here = {"mount_point": "people"}
done(users.create_or_update_user("ann", "correct horse", policies="app", **here))
done(users.create_or_update_user("bob", "staple", token_policies=["app"], token_ttl="5m", **here))
assert users.list_user(**here)["data"]["keys"] == ["ann", "bob"]
shown = users.read_user("ann", **here)["data"]
assert shown["policies"] == shown["token_policies"] == ["app"], shown
shown = users.read_user("bob", **here)["data"]
assert shown["token_policies"] == ["app"] and shown["token_ttl"] == 300, shown
assert "staple" not in str(shown), shown

answer = stranger.login("ann", "correct horse", **here)
assert answer["auth"]["metadata"] == {"username": "ann"}, answer
may_only_read(answer)
answer = another().auth.userpass.login("bob", "staple", **here)
assert answer["auth"]["lease_duration"] == 300, answer
done(users.update_password_on_user("ann", "battery", **here))
for name, password in [("ann", "correct horse"), ("nosuch", "battery")]:
    refused(wrong.InvalidRequest, stranger.login, name, password, **here)
bob = another()
bob.auth.userpass.login("bob", "staple", **here)
assert bob.is_authenticated()
done(users.delete_user("ann", **here))
refused(wrong.InvalidRequest, stranger.login, "ann", "battery", **here)
refused(wrong.InvalidPath, users.read_user, "ann", **here)
done(client.sys.disable_auth_method("people"))
assert not bob.is_authenticated()
