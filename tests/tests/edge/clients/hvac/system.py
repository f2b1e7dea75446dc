"""hvac against lessor: the server itself, mounts, plugins behind them, leases.

Arguments: address, token, and the grant of a database that is mounted at `db`.
"""

import sys

from shared import client, done, hvac, refused

grant = sys.argv[3]
sys_, wrong = client.sys, hvac.exceptions

# The server.
for method in ["GET", "HEAD"]:
    health = sys_.read_health_status(method=method)
health = sys_.read_health_status(method="GET")
assert health["initialized"] and not health["sealed"] and not health["standby"], health
assert sys_.is_initialized() and not sys_.is_sealed()
assert sys_.read_init_status() == {"initialized": True}
assert sys_.read_seal_status()["sealed"] is False
assert client.seal_status["type"] and client.ha_status["is_self"]
assert sys_.read_leader_status()["ha_enabled"] is False
assert health["version"].startswith("1.21.") and health["lessor_version"], health
assert client.read("sys/ha-status")["data"]["nodes"][0]["active_node"]
assert client.list("sys/version-history")["data"]["keys"]
assert client.read("sys/internal/ui/mounts")["data"]["secret"]["db/"]["type"] == "postgres"
assert client.read("sys/internal/ui/resultant-acl")["data"] == {"root": True}
refused(wrong.InvalidRequest, sys_.initialize)

# Mounts.
listed = sys_.list_mounted_secrets_engines()["data"]
assert sys_.list_mounted_secrets_engines()["db/"] == listed["db/"]
assert listed["db/"]["type"] == "postgres", listed
assert sys_.retrieve_mount_option("db", "version", "none") == "none"
done(
    sys_.enable_secrets_engine(
        "postgres",
        path="team/db",
        description="orders",
        config={"default_lease_ttl": "1h", "max_lease_ttl": "2h", "allowed_hosts": [grant]},
    )
)
refused(wrong.UnexpectedError, sys_.enable_secrets_engine, "postgres", path="team/db")
unknown = refused(wrong.InvalidRequest, sys_.enable_secrets_engine, "nosuch")
assert "plugin not found in the catalog" in str(unknown), unknown
tuned = sys_.read_mount_configuration("team/db")["data"]
assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"]) == (3600, 7200), tuned
done(sys_.tune_mount_configuration("team/db", default_lease_ttl="30m", description="more orders"))
tuned = sys_.read_mount_configuration("team/db")["data"]
assert (tuned["default_lease_ttl"], tuned["description"]) == (1800, "more orders"), tuned
refused(wrong.InvalidRequest, sys_.tune_mount_configuration, "team/db", default_lease_ttl="3h")
moved = sys_.move_backend("team/db", "other/db")
assert moved["data"]["migration_id"], moved
assert "other/db/" in sys_.list_mounted_secrets_engines()["data"]
done(sys_.disable_secrets_engine("other/db"))
done(sys_.disable_secrets_engine("other/db"))
assert "other/db/" not in sys_.list_mounted_secrets_engines()["data"]

# Leases.
lease = client.read("db/creds/reader")
assert lease["renewable"] and lease["lease_duration"] == 3600, lease
assert lease["data"]["username"] and lease["data"]["password"]
found = sys_.read_lease(lease["lease_id"])["data"]
assert (found["id"], found["last_renewal"]) == (lease["lease_id"], None), found
assert sys_.list_leases("db/creds")["data"]["keys"] == ["reader/"]
assert sys_.renew_lease(lease["lease_id"])["lease_duration"] == 3600
assert sys_.renew_lease(lease["lease_id"], increment="2h")["lease_duration"] == 7200
refused(wrong.InvalidRequest, sys_.renew_lease, "db/creds/reader/nosuch")
refused(wrong.InvalidRequest, sys_.read_lease, "db/creds/reader/nosuch")
done(sys_.revoke_lease(lease["lease_id"]))
done(sys_.revoke_lease(lease["lease_id"]))
refused(wrong.InvalidRequest, sys_.read_lease, lease["lease_id"])
client.read("db/creds/reader")
assert sys_.revoke_prefix("db/creds/reader").status_code in (202, 204)
# hvac has no word for the reason, which the audit log then says.
sys_.revoke_force("db/creds/reader")

# A path that lessor does not offer answers as any unknown path.
for call, arguments in [
    (sys_.list_enabled_audit_devices, []),
    (sys_.enable_audit_device, ["file"]),
    (sys_.disable_audit_device, ["file"]),
    (sys_.calculate_hash, ["file", "x"]),
    (sys_.read_root_generation_progress, []),
    (sys_.get_encryption_key_status, []),
    (sys_.rotate_encryption_key, []),
    (sys_.read_rekey_progress, []),
    (sys_.list_namespaces, []),
    (sys_.create_namespace, ["x"]),
    (sys_.list_quotas, []),
    (sys_.read_raft_config, []),
    (sys_.list_rgp_policies, []),
    (sys_.list_egp_policies, []),
    (sys_.seal, []),
    (sys_.submit_unseal_key, ["x"]),
    (sys_.step_down, []),
    (client.secrets.identity.list_entities, []),
    (client.secrets.kv.v2.read_secret_version, ["x"]),
    (client.secrets.kv.v1.read_secret, ["x"]),
    (client.secrets.transit.read_key, ["x"]),
]:
    refused(wrong.InvalidPath, call, *arguments)
