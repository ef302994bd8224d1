"""Rekognition for tests: the real wire protocol over HTTP, real faces by the local engine, faults on demand.

    with rekognition(keys={"AKID": "secret"}) as server:    # or RekognitionServer(…).start() … .stop()
        boto3.client("rekognition", endpoint_url=server.url, region_name="us-east-1", …)
        server.faults.throttle("IndexFaces", times=3)       # also fail, deny, slow, lose, quota, limit_answers,
        server.faults.calm()                                # limit_pages; see `faults.Faults`
        server.calls, server.count("IndexFaces"), server.journal.most_at_once
        server.contents()["collection"]["faces"]            # {face id: external id}; "users": {user id: [face ids]}
        server.delete_collection("collection")              # by hand, behind everybody's back
        server.forget()                                     # for the next test
        assert server.faults_of_its_own == []               # it answered nothing that the service's model does not know

In a process of its own: `python -m tests.cloud.rekognition --port 0 [--models DIR] [--key ID:SECRET]` prints its URL;
`rekognition_process()` does that for a test, whose `tell("throttle", times=3)` and `state()` are the same over HTTP
(POST /_control/METHOD with the arguments as JSON, GET /_control/state). Similarities are on `engine.SCALE`, the bars of
the quality filter in `quality.BARS`; `clients` has a client of boto3's and pictures to send.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cloud.rekognition.remote import RemoteRekognition, rekognition_process
from tests.cloud.rekognition.server import RekognitionServer

__all__ = ["RekognitionServer", "RemoteRekognition", "rekognition", "rekognition_process"]


@contextmanager
def rekognition(**options: Any) -> Iterator[RekognitionServer]:
    """A server for the length of a block; the options are RekognitionServer's."""
    with RekognitionServer(**options) as server:
        yield server
