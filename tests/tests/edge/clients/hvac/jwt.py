"""hvac against lessor: tokens of an identity provider.

Arguments: address, token, the provider's public key, a token that it signed.
The mount is `db`, its role `reader`.
"""

import sys

from shared import another, client, done, hvac, may_only_read, refused, write_policy

key, signed = sys.argv[3:]
methods, stranger, wrong = client.auth.jwt, another().auth.jwt, hvac.exceptions
write_policy()
done(client.sys.enable_auth_method("jwt"))
done(methods.configure(jwt_validation_pubkeys=[key], bound_issuer="harness", default_role="app"))
shown = methods.read_config()["data"]
assert shown["bound_issuer"] == "harness" and shown["default_role"] == "app", shown
settings = {
    "user_claim": "sub",
    "allowed_redirect_uris": [],
    "bound_audiences": ["lessor"],
    "token_policies": ["app"],
}
done(
    methods.create_role(
        "app",
        bound_claims={"team": "red"},
        claim_mappings={"team": "team"},
        token_ttl="10m",
        **settings,
    )
)
done(methods.create_role("blue", bound_claims={"team": "blue"}, **settings))
shown = methods.read_role("app")["data"]
assert shown["user_claim"] == "sub" and shown["bound_claims"] == {"team": "red"}, shown
assert sorted(methods.list_roles()["data"]["keys"]) == ["app", "blue"]

answer = stranger.jwt_login("app", signed)
assert answer["auth"]["lease_duration"] == 600, answer
assert answer["auth"]["metadata"]["team"] == "red", answer
may_only_read(answer)
may_only_read(another().auth.jwt.jwt_login(None, signed))
head, body, signature = signed.split(".")
forged = ".".join([head, body, signature[:-8] + "AAAAAAAA"])
for role, token in [("app", forged), ("app", "nosuch"), ("blue", signed), ("nosuch", signed)]:
    refused(wrong.InvalidRequest, another().auth.jwt.jwt_login, role, token)

# Kubernetes' clients send the same login to another path.
done(client.sys.enable_auth_method("jwt", path="kubernetes"))
done(methods.configure(jwt_validation_pubkeys=[key], path="kubernetes"))
done(methods.create_role("pod", path="kubernetes", **settings))
may_only_read(another().auth.kubernetes.login("pod", signed))

done(methods.delete_role("app"))
refused(wrong.InvalidPath, methods.read_role, "app")
done(client.sys.disable_auth_method("jwt"))
