"""Rekognition's wire protocol: JSON 1.1 over POST, each message held against botocore's own service model.

The service's model is the one that boto3 itself works by, so that whatever passes here is what the real service is
documented to take and to answer.
"""

import base64
import binascii
import json
import math
import re
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET = "RekognitionService."

Message = dict[str, Any]
Value = TypeVar("Value")


class ServiceError(Exception):
    """An answer that is an error of the service's; `code` is what botocore reads as the error's code."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class OwnFault(AssertionError):
    """This server was about to send what the real service never would."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes over the wire."""

    status: int
    body: bytes
    headers: dict[str, str]


@cache
def service_model() -> ServiceModel:
    """Botocore's description of Rekognition."""
    return botocore.session.get_session().get_service_model("rekognition")


def operation_of(target: str | None) -> OperationModel:
    """The operation that the X-Amz-Target header names.

    Raises:
        ServiceError: there is none of that name.
    """
    name = (target or "").removeprefix(TARGET)
    if not (target or "").startswith(TARGET) or name not in service_model().operation_names:
        raise ServiceError("UnknownOperationException", f"There is no operation {target!r}.")
    return service_model().operation_model(name)


def read_request(operation: OperationModel, body: bytes) -> Message:
    """The request's parameters, blobs decoded.

    Raises:
        ServiceError: `SerializationException` where it is no JSON object, `ImageTooLargeException` for too large a
            picture, `ValidationException` for anything else that the model does not allow.
    """
    try:
        message = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", "The request is no JSON.") from error
    if not isinstance(message, dict):
        raise ServiceError("SerializationException", "The request is no JSON object.")
    walk = _Walk()
    read: Message = walk.value(message, operation.input_shape, "")
    if walk.too_large:
        raise ServiceError("ImageTooLargeException", "Image size is too large.")
    if walk.faults:
        found = "; ".join(walk.faults)
        raise ServiceError("ValidationException", f"{len(walk.faults)} validation error(s) detected: {found}")
    return read


def write_answer(operation: OperationModel, message: Message) -> Answer:
    """The answer as bytes, once it is sure that the real service could have sent it.

    Raises:
        OwnFault: the service's model knows no such answer.
    """
    walk = _Walk()
    if operation.output_shape is not None:
        walk.value(message, operation.output_shape, "")
    elif message:
        walk.faults.append(f"{operation.name} answers nothing")
    if walk.faults:
        raise OwnFault(f"{operation.name}: {'; '.join(walk.faults)}")
    return _encode(200, message, {})


def write_error(error: ServiceError) -> Answer:
    """The error as the service writes it."""
    message = {"__type": error.code, "Code": error.code, "Message": error.message}
    return _encode(error.status, message, {"x-amzn-ErrorType": error.code})


def members_of(message: Any, path: str = "") -> set[str]:
    """Every member that a message has, as dotted paths; the entries of lists are one: {"Faces", "Faces.FaceId"}."""
    if isinstance(message, list):
        return {member for entry in message for member in members_of(entry, path)}
    if not isinstance(message, dict):
        return set()
    found = set()
    for name, value in message.items():
        inner = f"{path}.{name}" if path else name
        found |= {inner} | members_of(value, inner)
    return found


def _encode(status: int, message: Message, headers: dict[str, str]) -> Answer:
    body = json.dumps(message).encode()
    return Answer(status, body, {"Content-Type": CONTENT_TYPE, "x-amzn-requestid": str(uuid.uuid4())} | headers)


class _Walk:
    """One pass over a message beside its shape; collects what does not fit."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.too_large = False

    def value(self, value: Any, shape: Shape, path: str) -> Any:
        """The value with its blobs decoded; what is wrong with it goes to `faults`."""
        return getattr(self, f"_{shape.type_name}")(value, shape, path)

    def _structure(self, value: Any, shape: Shape, path: str) -> Message:
        if not isinstance(value, dict):
            return self._wrong(path, value, "an object", {})
        given = {name: inner for name, inner in value.items() if inner is not None}
        for name in shape.required_members:
            if name not in given:
                self.faults.append(
                    f"Value null at '{_join(path, name)}' failed to satisfy constraint: must not be null"
                )
        for name in given.keys() - shape.members.keys():
            self.faults.append(f"'{_join(path, name)}' is not a member of {shape.name}")
        return {
            name: self.value(inner, shape.members[name], _join(path, name))
            for name, inner in given.items()
            if name in shape.members
        }

    def _list(self, value: Any, shape: Shape, path: str) -> list[Any]:
        if not isinstance(value, list):
            return self._wrong(path, value, "a list", [])
        self._range(path, len(value), shape, "length")
        return [self.value(entry, shape.member, f"{path}.{n + 1}") for n, entry in enumerate(value)]

    def _map(self, value: Any, shape: Shape, path: str) -> Message:
        if not isinstance(value, dict):
            return self._wrong(path, value, "a map", {})
        self._range(path, len(value), shape, "size")
        return {
            self.value(key, shape.key, f"{path}.key"): self.value(entry, shape.value, f"{path}.{key}")
            for key, entry in value.items()
        }

    def _string(self, value: Any, shape: Shape, path: str) -> str:
        if not isinstance(value, str):
            return self._wrong(path, value, "a string", "")
        self._range(path, len(value), shape, "length")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            self.faults.append(f"Value '{value}' at '{path}' failed to satisfy constraint: pattern {pattern}")
        if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
            self.faults.append(f"Value '{value}' at '{path}' failed to satisfy constraint: one of {shape.enum}")
        return value

    def _blob(self, value: Any, shape: Shape, path: str) -> bytes:
        if not isinstance(value, str):
            return self._wrong(path, value, "a base64 string", b"")
        try:
            content = base64.b64decode(value, validate=True)
        except binascii.Error:
            return self._wrong(path, value[:20], "a base64 string", b"")
        if len(content) > shape.metadata.get("max", len(content)):
            self.too_large = True
        elif len(content) < shape.metadata.get("min", 0):
            self._range(path, len(content), shape, "length")
        return content

    def _integer(self, value: Any, shape: Shape, path: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            return self._wrong(path, value, "an integer", 0)
        self._range(path, value, shape, "value")
        return value

    def _float(self, value: Any, shape: Shape, path: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return self._wrong(path, value, "a number", 0.0)
        self._range(path, value, shape, "value")
        return float(value)

    def _boolean(self, value: Any, shape: Shape, path: str) -> bool:
        return value if isinstance(value, bool) else self._wrong(path, value, "a boolean", False)

    _long = _integer
    _double = _float
    _timestamp = _float

    def _range(self, path: str, figure: float, shape: Shape, what: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and figure < low:
            self.faults.append(f"'{path}' failed to satisfy constraint: {what} at least {low}, not {figure}")
        if high is not None and figure > high:
            self.faults.append(f"'{path}' failed to satisfy constraint: {what} at most {high}, not {figure}")

    def _wrong(self, path: str, value: Any, wanted: str, instead: Value) -> Value:
        self.faults.append(f"Value {value!r} at '{path}' is not {wanted}")
        return instead


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
