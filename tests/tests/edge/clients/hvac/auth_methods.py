"""hvac against lessor: login methods as such.

Arguments: address, token.
"""

from shared import client, done, hvac, refused

sys_, wrong = client.sys, hvac.exceptions
done(sys_.enable_auth_method("approle", path="team/roles", description="applications"))
listed = sys_.list_auth_methods()["data"]
assert listed["team/roles/"]["type"] == "approle" and "token/" in listed, listed
done(sys_.tune_auth_method("team/roles", default_lease_ttl="20m", max_lease_ttl="1h"))
tuned = sys_.read_auth_method_tuning("team/roles")["data"]
assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"]) == (1200, 3600), tuned
refused(wrong.UnexpectedError, sys_.enable_auth_method, "approle", path="team/roles")
refused(wrong.InvalidRequest, sys_.enable_auth_method, "nosuch")
done(sys_.disable_auth_method("team/roles"))
done(sys_.disable_auth_method("team/roles"))
assert "team/roles/" not in sys_.list_auth_methods()["data"]

# Methods that are not offered cannot be enabled, so nobody logs in by them.
for method in ["ldap", "github", "aws", "gcp", "azure", "okta", "radius", "cert"]:
    refused(wrong.InvalidRequest, sys_.enable_auth_method, method)
