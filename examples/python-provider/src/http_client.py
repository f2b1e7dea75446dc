"""One request over wasi:http: what `urllib` is where there are sockets."""

from urllib.parse import urlsplit

from componentize_py_types import Err
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.wasi_http_types import (
    Fields,
    Method_Other,
    OutgoingBody,
    OutgoingRequest,
    Scheme_Http,
    Scheme_Https,
)

# Bytes that one write may carry, and that one read asks for.
CHUNK = 4096


class Unreachable(Exception):
    """No answer came; the host's log says why."""


def request(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """Sends one request; gives status and body of the answer."""
    parts = urlsplit(url)
    fields = {**headers, "content-length": str(len(body))}
    outgoing = OutgoingRequest(
        Fields.from_list([(name, value.encode()) for name, value in fields.items()])
    )
    outgoing.set_method(Method_Other(method))
    outgoing.set_scheme(Scheme_Http() if parts.scheme == "http" else Scheme_Https())
    outgoing.set_authority(parts.netloc)
    outgoing.set_path_with_query(parts.path + (f"?{parts.query}" if parts.query else ""))
    sending = outgoing.body()
    try:
        waiting = outgoing_handler.handle(outgoing, None)
        with sending.write() as stream:
            for start in range(0, len(body), CHUNK):
                stream.blocking_write_and_flush(body[start : start + CHUNK])
        OutgoingBody.finish(sending, None)
        with waiting.subscribe() as answered:
            answered.block()
        # A result in a result: the outer says that it was taken once only, the
        # inner whether upstream answered.
        answer = waiting.get().value
        if isinstance(answer, Err):
            raise answer
        with answer.value as response:
            return response.status(), received(response)
    except Err as error:
        raise Unreachable(type(error.value).__name__) from error


def received(response) -> bytes:
    """The whole body of a response."""
    chunks = []
    with response.consume() as body, body.stream() as stream:
        try:
            while True:
                chunks.append(stream.blocking_read(CHUNK))
        except Err as end:
            if not isinstance(end.value, StreamError_Closed):
                raise
    return b"".join(chunks)
