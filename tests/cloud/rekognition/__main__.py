"""`python -m tests.cloud.rekognition --port 0`: says its address on a line, and serves until it is ended."""

import argparse
import signal
from pathlib import Path
from threading import Event
from typing import Any

import boto3

from tests.cloud.rekognition.server import RekognitionServer
from webapp.faces.local.analyzer import LocalFaceAnalyzer


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tests.cloud.rekognition", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--models", type=Path, help="where folded face models lie, or are put; default: made anew")
    parser.add_argument("--key", action="append", default=[], metavar="ID:SECRET", help="check signatures; repeatable")
    parser.add_argument("--region", default="", help="the only one that signatures may be for")
    parser.add_argument("--s3-endpoint", default="", help="for pictures by reference; signed with the first key")
    options = parser.parse_args()
    keys = dict(key.split(":", 1) for key in options.key)
    load = (lambda: LocalFaceAnalyzer.load(options.models)) if options.models else None
    server = RekognitionServer(keys=keys, region=options.region, s3=_s3(options, keys), load=load, port=options.port)
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with server:
        print(server.url, flush=True)
        ended.wait()


def _s3(options: argparse.Namespace, keys: dict[str, str]) -> Any | None:
    if not options.s3_endpoint:
        return None
    key, secret = next(iter(keys.items()), ("testing", "testing"))
    return boto3.client(
        "s3",
        endpoint_url=options.s3_endpoint,
        region_name=options.region or "us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


if __name__ == "__main__":
    main()
