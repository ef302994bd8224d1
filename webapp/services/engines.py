"""The present app's face engine, loaded once per process and only where it is used: never in a web process."""

from typing import cast

from flask import current_app

from webapp import faces
from webapp.faces.protocols import FaceAnalyzer, FaceIndex


def analyzer() -> FaceAnalyzer:
    """The analyzer that FACE_ENGINE names."""
    extensions = current_app.extensions
    if "face_analyzer" not in extensions:
        extensions["face_analyzer"] = faces.load_analyzer(extensions["settings"])
    return cast("FaceAnalyzer", extensions["face_analyzer"])


def index() -> FaceIndex:
    """The index that goes with it."""
    extensions = current_app.extensions
    if "face_index" not in extensions:
        extensions["face_index"] = faces.load_index(extensions["settings"])
    return cast("FaceIndex", extensions["face_index"])
