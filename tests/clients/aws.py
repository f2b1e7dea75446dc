"""boto3, for tests: answers calls from standard input, a line of JSON each.

    python3 aws.py ENDPOINT

A call has `service`, `method` and `arguments`, and `access_key`, `secret_key` and
`session_token` of whoever makes it. The answer is `{"ok": …}` or `{"error": CODE,
"message": …}`, a line each.
"""

import json
import sys

import boto3
import botocore.config
import botocore.exceptions

endpoint = sys.argv[1]
# What is not the test's own doing is seen at once, and not tried again.
config = botocore.config.Config(
    retries={"max_attempts": 0, "mode": "standard"},
    connect_timeout=10,
    read_timeout=30,
    ignore_configured_endpoint_urls=True,
)
clients = {}


def client(call):
    key = (call["service"], call["access_key"], call["secret_key"], call["session_token"])
    if key not in clients:
        service, access_key, secret_key, session_token = key
        clients[key] = boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="eu-central-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=session_token,
            config=config,
        )
    return clients[key]


for line in sys.stdin:
    call = json.loads(line)
    try:
        answer = getattr(client(call), call["method"])(**call["arguments"])
        answer.pop("ResponseMetadata", None)
        said = {"ok": answer}
    except botocore.exceptions.ClientError as error:
        told = error.response["Error"]
        said = {"error": told["Code"], "message": told["Message"]}
    except botocore.exceptions.BotoCoreError as error:
        said = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(said, default=str), flush=True)
