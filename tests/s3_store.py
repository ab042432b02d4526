"""Somebody who answers as S3 does, on loopback, for the length of a block."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moto's own, at its import
        from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://%s:%d" % server.get_host_and_port()
    finally:
        server.stop()


def client(store: str) -> str:
    """The line of a script that makes a client of it."""
    keys = 'aws_access_key_id="geheim", aws_secret_access_key="geheim"'
    return f's3 = boto3.client("s3", endpoint_url={store!r}, region_name="us-east-1", {keys})'
