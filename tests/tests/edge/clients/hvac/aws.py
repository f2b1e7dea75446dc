"""hvac against lessor: the words of Vault's engine for AWS, by the dialect of a provider.

Arguments: address, token; the access key of the root, its secret, the endpoint of IAM and
STS, and a managed policy. The provider is pinned as `aws`; the account has a role `app`.
"""

import json
import sys

from shared import another, client, done, hvac, refused, written

aws, wrong = client.secrets.aws, hvac.exceptions
access_key, secret_key, endpoint, managed = sys.argv[3:7]
client.sys.enable_secrets_engine("aws", config={"allowed_hosts": [endpoint]})

# The root key; its secret is shown to nobody.
root = {"region": "eu-central-1", "iam_endpoint": endpoint, "sts_endpoint": endpoint}
written(aws.configure_root_iam_credentials(access_key, secret_key, **root))
shown = client.read("aws/config/root")["data"]
assert shown["access_key"] == access_key, shown
for field, value in root.items():
    assert shown[field] == value, shown
assert secret_key not in json.dumps(shown), shown

# The lengths of the mount's leases.
done(aws.configure_lease("30m", "12h"))
assert aws.read_lease_config()["data"]["lease"] == "30m0s"
assert aws.read_lease_config()["data"]["lease_max"] == "12h0m0s"
tune = client.sys.read_mount_configuration("aws")["data"]
assert (tune["default_lease_ttl"], tune["max_lease_ttl"]) == (1800, 43200), tune
for lease, longest, field in [("soon", "12h", "lease"), ("30m", "soon", "lease_max")]:
    error = refused(wrong.InvalidRequest, aws.configure_lease, lease, longest)
    assert field in error.errors[0] and "_ttl" not in error.errors[0], error.errors

# Roles of each kind.
policy = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
}
arns, roles = [managed], ["arn:aws:iam::123456789012:role/app"]
written(aws.create_or_update_role("user", "iam_user", policy_arns=arns))
written(aws.create_or_update_role("inline", "iam_user", policy_document=policy))
written(
    aws.create_or_update_role(
        "assumed", "assumed_role", role_arns=roles, default_sts_ttl="15m", max_sts_ttl="1h"
    )
)
written(aws.create_or_update_role("federated", "federation_token", policy_document=policy))
assert aws.list_roles()["data"]["keys"] == ["assumed", "federated", "inline", "user"]
user = aws.read_role("user")["data"]
assert user["credential_types"] == ["iam_user"] and user["policy_arns"] == arns, user
assert json.loads(aws.read_role("inline")["data"]["policy_document"]) == policy
assumed = aws.read_role("assumed")["data"]
assert assumed["credential_types"] == ["assumed_role"] and assumed["role_arns"] == roles, assumed
assert (assumed["default_sts_ttl"], assumed["max_sts_ttl"]) == (900, 3600), assumed

# Credentials.
lease = aws.generate_credentials("user")
assert lease["data"]["access_key"] and lease["data"]["secret_key"], lease
assert not lease["data"].get("security_token"), lease
assert lease["lease_id"].startswith("aws/creds/user/"), lease
assert lease["lease_duration"] == 1800, lease
for endpoint, role in [("sts", "assumed"), ("creds", "assumed"), ("sts", "federated")]:
    lease = aws.generate_credentials(role, endpoint=endpoint)
    assert lease["data"]["security_token"], lease
lease = aws.generate_credentials("assumed", endpoint="sts", role_arn=roles[0], ttl="20m")
# A lease ends no later than its session, which AWS counts from an earlier moment.
assert 1190 <= lease["lease_duration"] <= 1200, lease
error = refused(
    wrong.InvalidRequest, aws.generate_credentials, "assumed", role_arn="arn:aws:iam::1:role/x"
)
assert "role_arn" in error.errors[0], error.errors
refused(wrong.InvalidPath, aws.generate_credentials, "nosuch")
refused(wrong.InvalidPath, aws.generate_credentials, "nosuch", endpoint="sts")

# The root key is replaced, and goes on working.
rotated = aws.rotate_root_iam_credentials()
assert rotated["data"]["access_key"], rotated
assert aws.generate_credentials("user")["data"]["access_key"]

# Policies judge the path that is asked.
policy = 'path "aws/sts/*" { capabilities = ["update"] }'
done(client.sys.create_or_update_policy("sts", policy))
token = client.auth.token.create(policies=["sts"])["auth"]["client_token"]
other = another(token).secrets.aws
assert other.generate_credentials("assumed", endpoint="sts")["data"]["access_key"]
refused(wrong.Forbidden, other.generate_credentials, "assumed")
refused(wrong.Forbidden, other.read_lease_config)

for role in ["assumed", "federated", "inline", "user"]:
    done(aws.delete_role(role))
refused(wrong.InvalidPath, aws.read_role, "user")
refused(wrong.InvalidPath, aws.list_roles)
