"""hvac against lessor: login methods as such.

Arguments: address, token.
"""

from shared import another, client, done, hvac, refused

sys_, wrong = client.sys, hvac.exceptions


def listed_now():
    return sys_.list_auth_methods()["data"]


done(sys_.enable_auth_method("approle", path="team/roles", description="applications"))
listed = sys_.list_auth_methods()["data"]
assert listed["team/roles/"]["type"] == "approle" and "token/" in listed, listed
done(sys_.tune_auth_method("team/roles", default_lease_ttl="20m", max_lease_ttl="1h"))
tuned = sys_.read_auth_method_tuning("team/roles")["data"]
assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"]) == (1200, 3600), tuned
kept = {"listing_visibility": "unauth", "audit_non_hmac_request_keys": ["role_id"]}
done(sys_.tune_auth_method("team/roles", **kept))
tuned = sys_.read_auth_method_tuning("team/roles")["data"]
assert {name: tuned[name] for name in kept} == kept, tuned
# A setting without effect is kept, and the answer warns of it.
warned = sys_.tune_auth_method("team/roles", passthrough_request_headers=["X-A"])
assert "passthrough_request_headers" in warned["warnings"][0], warned
strangers = another().read("sys/internal/ui/mounts")["data"]
assert list(strangers["auth"]) == ["team/roles/"], strangers
# Older clients read this path.
assert sys_.list_auth_methods()["team/roles/"] == listed_now()["team/roles/"]
refused(wrong.UnexpectedError, sys_.enable_auth_method, "approle", path="team/roles")
refused(wrong.InvalidRequest, sys_.enable_auth_method, "nosuch")
done(sys_.disable_auth_method("team/roles"))
done(sys_.disable_auth_method("team/roles"))
assert "team/roles/" not in sys_.list_auth_methods()["data"]

# Methods that are not offered cannot be enabled, so nobody logs in by them.
for method in ["ldap", "github", "aws", "gcp", "azure", "okta", "radius", "cert"]:
    refused(wrong.InvalidRequest, sys_.enable_auth_method, method)
