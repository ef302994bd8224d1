"""Which pictures Rekognition takes: JPEG or PNG in RGB or grey, sides from 80 pixels, 5 MB as bytes, 15 MB from S3.

AWS documents formats and sizes (developer guide, "Guidelines and quotas"); of CMYK it only says that RGB channels are
what is looked at, so this server refuses it: whoever converts such pictures first is right with both.
"""

import io
from typing import Any

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image, ImageOps

from tests.cloud.rekognition.wire import Message, ServiceError
from webapp.faces.core.protocols import Frame

FORMATS = ("JPEG", "PNG")
MODES = frozenset({"RGB", "RGBA", "L", "LA", "P", "1"})
SMALLEST_SIDE = 80
MOST_FROM_S3 = 15 * 1024 * 1024


def fetch(image: Message, s3: Any | None) -> bytes:
    """The content that the `Image` of a request means. s3: a client of boto3's, or None where there is no store.

    Raises:
        ServiceError: it names none or two, or the object can't be had or is too large.
    """
    if ("Bytes" in image) == ("S3Object" in image):
        raise ServiceError(
            "InvalidParameterException", "Request has invalid parameters: Bytes or S3Object, one of both"
        )
    if "Bytes" in image:
        return bytes(image["Bytes"])
    named = image["S3Object"]
    if s3 is None or "Bucket" not in named or "Name" not in named:
        raise _no_object()
    version = {"VersionId": named["Version"]} if "Version" in named else {}
    try:
        answer = s3.get_object(Bucket=named["Bucket"], Key=named["Name"], **version)
        if answer["ContentLength"] > MOST_FROM_S3:
            raise ServiceError("ImageTooLargeException", "Image size is too large.")
        content: bytes = answer["Body"].read()
    except (ClientError, BotoCoreError) as error:
        raise _no_object() from error
    return content


def decode(content: bytes) -> Frame:
    """The upright picture, as its EXIF says: (height, width, 3), RGB.

    Raises:
        ServiceError: it is none that the service takes.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.mode not in MODES:
                raise _bad_format()
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise _bad_format() from error
    if min(upright.size) < SMALLEST_SIDE:
        raise ServiceError("InvalidParameterException", f"Image dimensions must be at least {SMALLEST_SIDE} pixels.")
    return np.asarray(upright)


def _bad_format() -> ServiceError:
    return ServiceError("InvalidImageFormatException", "Request has invalid image format")


def _no_object() -> ServiceError:
    message = "Unable to get object metadata from S3. Check object key, region and/or access permissions."
    return ServiceError("InvalidS3ObjectException", message)
