"""An account of AWS for trying out: moto on loopback, with authentication on.

    python aws.py

Prints one line of JSON: `origin`, and the `access_key` and `secret_key` of the user
`lessor`, who may do everything. Ends with its standard input.

moto simulates no policies and knows no credentials of single services. What is answered
here instead: everything is allowed, and there are none of those.
"""

import io
import json
import sys
import threading
import urllib.parse
import urllib.request

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


def simulated(form):
    actions = [value for name, value in form if name.startswith("ActionNames.member.")]
    results = "".join(
        f"<member><EvalActionName>{action}</EvalActionName>"
        "<EvalDecision>allowed</EvalDecision></member>"
        for action in actions
    )
    return (
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>"
        f"{results}</EvaluationResults></SimulatePrincipalPolicyResult>"
        "</SimulatePrincipalPolicyResponse>"
    )


class StandingIn:
    """moto, and answers to the two requests that it does not know."""

    def __init__(self, moto):
        self.moto = moto

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        form = []
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            form = urllib.parse.parse_qsl(body.decode())
        answer = {
            "SimulatePrincipalPolicy": simulated,
            "ListServiceSpecificCredentials": lambda _: "<ListServiceSpecificCredentialsResponse/>",
        }.get(dict(form).get("Action"))
        if answer is None:
            return self.moto(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [answer(form).encode()]


def main():
    moto = StandingIn(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, moto, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"

    iam = boto3.client(
        "iam",
        endpoint_url=origin,
        region_name="us-east-1",
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
    )
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    iam.create_user(UserName="lessor")
    iam.put_user_policy(UserName="lessor", PolicyName="all", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="lessor")["AccessKey"]
    # From now on whoever calls must have a key.
    reset = urllib.request.Request(
        f"{origin}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(reset)
    said = {
        "origin": origin,
        "access_key": key["AccessKeyId"],
        "secret_key": key["SecretAccessKey"],
    }
    print(json.dumps(said), flush=True)
    sys.stdin.read()


main()
