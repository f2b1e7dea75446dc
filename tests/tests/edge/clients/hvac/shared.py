"""The functions that the scripts share: a client, and a check of refusals."""

import sys
import warnings

import hvac

# hvac tells of its own deprecations; scripts use the older names on purpose.
warnings.simplefilter("ignore")

address, token = sys.argv[1:3]
client = hvac.Client(url=address, token=token)


def another(token=None):
    """A client of somebody else."""
    return hvac.Client(url=address, token=token)


def refused(wrong, call, *arguments, **named):
    """The error that a call must raise; all but "nothing here" say something."""
    try:
        answer = call(*arguments, **named)
    except wrong as error:
        assert error.errors or wrong is hvac.exceptions.InvalidPath, error
        return error
    raise AssertionError(f"{wrong.__name__} was not raised, but: {answer}")


def done(answer):
    """A write that has nothing to say."""
    assert answer.status_code == 204, (answer.status_code, answer.text)


def written(answer):
    """A write that may have warnings, which hvac hands over as the answer's JSON."""
    assert isinstance(answer, dict) or answer.status_code == 204, answer


def write_policy():
    """The policy `app` of who logs in: read the credential of the role `reader`."""
    done(
        client.sys.create_or_update_policy(
            "app", 'path "db/creds/reader" { capabilities = ["read"] }'
        )
    )


def may_only_read(answer):
    """The client of a login, which may do what the policy says and nothing else."""
    assert answer["auth"]["policies"] == ["app", "default"], answer
    app = another(answer["auth"]["client_token"])
    assert app.read("db/creds/reader")["lease_id"]
    refused(hvac.exceptions.Forbidden, app.read, "db/config")
    return app
