"""What a test of the stand-in sends: a client of boto3's, and pictures of real faces as files."""

import io
from functools import cache
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image

from tests.support import faces
from webapp.faces.core.protocols import Frame

NOBODY = "00000000-0000-4000-8000-000000000000"
"""A well formed FaceId that no face has."""

KEY, SECRET, REGION = "AKIDTESTS", "secret-of-the-tests", "us-east-1"


def client(
    url: str,
    *,
    key: str = KEY,
    secret: str = SECRET,
    region: str = REGION,
    attempts: int = 1,
    read_seconds: float = 60,
) -> Any:
    """A real client. attempts: how often it sends a request that fails, with botocore's own pauses between."""
    retries = {"mode": "standard", "total_max_attempts": attempts}
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries=retries, connect_timeout=5, read_timeout=read_seconds),
    )


def index(cloud: Any, collection: str, picture: bytes, name: str = "p-1", **options: Any) -> list[str]:
    """The ids of the faces that were kept."""
    answer = cloud.index_faces(CollectionId=collection, Image={"Bytes": picture}, ExternalImageId=name, **options)
    return [record["Face"]["FaceId"] for record in answer["FaceRecords"]]


def refused(code: str) -> Any:
    """The block has to end with this error of the service's."""
    return pytest.raises(ClientError, match=rf"\({code}\)")


@cache
def portrait(person: str, variant: str = "plain") -> bytes:
    """A JPEG of `grace` or `eileen`: `plain`, or another picture of the same face: `mirrored`, `dark`."""
    image = Image.fromarray(faces.portrait(person))
    if variant == "mirrored":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    elif variant == "dark":
        image = image.point(lambda value: value * 0.6)
    return encode(np.asarray(image))


@cache
def crowd(columns: int, rows: int, tile: int = 160) -> bytes:
    """A JPEG with the same face columns × rows times, each in a tile of so many pixels."""
    face = Image.fromarray(faces.portrait("grace")).crop((120, 60, 420, 360)).resize((tile, tile))
    return encode(np.tile(np.asarray(face), (rows, columns, 1)))


@cache
def faceless() -> bytes:
    """A JPEG without a face."""
    return encode(np.full((200, 300, 3), 120, dtype=np.uint8))


@cache
def both(large: str, small: str) -> bytes:
    """A JPEG of two people beside each other, one at half the size of the other."""
    wide, narrow = Image.fromarray(faces.portrait(large)), Image.fromarray(faces.portrait(small))
    narrow = narrow.resize((narrow.width // 2, narrow.height // 2))
    canvas = Image.new("RGB", (wide.width + narrow.width, wide.height), "grey")
    canvas.paste(wide, (0, 0))
    canvas.paste(narrow, (wide.width, 0))
    return encode(np.asarray(canvas))


def encode(frame: Frame, file_format: str = "JPEG", **options: Any) -> bytes:
    """A frame as a file."""
    return encode_image(Image.fromarray(frame), file_format, **options)


def encode_image(image: Image.Image, file_format: str = "JPEG", **options: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()
