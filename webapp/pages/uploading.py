"""Handing photos in: the page, the plain form, and a tus 1.0.0 server for files that go on where they stopped.

Programs talk to the endpoints in PROGRAMS: they are answered with a status, a code and a sentence, never with a page.
What became of a file stands in headers, since a tus answer has no body.
"""

import base64
import binascii
from typing import IO, Any, cast
from urllib.parse import quote
from xml.sax.saxutils import escape

from flask import Blueprint, Response, current_app, jsonify, render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf
from htmx_flask import request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import http_date

from webapp.db.columns import is_row_id
from webapp.errors import FindMeError, Invalid, TooLarge
from webapp.models import Event, EventStatus, Membership
from webapp.pictures import imaging
from webapp.reasons import explain, sentence
from webapp.services.core import blobs
from webapp.services.uploads import intake, multipart, tus, upload_ledger
from webapp.services.uploads.tus import Progress
from webapp.settings import Settings
from webapp.web.access.permissions import PHOTOS_BODY, WITHOUT_TOKEN, Who
from webapp.web.requests import error_handlers
from webapp.web.requests.bodies import FORM_FILES, PHOTOS_IN_FORM

blueprint = Blueprint("uploading", __name__, url_prefix="/studio/events/<event_id>")

PROGRAMS = frozenset({"state", "tus_create", "tus_head", "tus_patch", "tus_cancel"})
PROGRAMS |= {"s3_begin", "s3_outcomes", "s3_echo", "s3_part", "s3_parts", "s3_finish", "s3_cancel"}
WHO = dict.fromkeys(("page", "lost", "form", *PROGRAMS), Who.RUNNER)
BODIES = dict.fromkeys(("form", "tus_create", "tus_patch"), PHOTOS_BODY)

FORM_FILES["uploading.form"] = PHOTOS_IN_FORM

# The client library posts there by itself and can't send a token; nothing changes by it.
WITHOUT_TOKEN.add("uploading.s3_echo")

VERSION = "1.0.0"
OFFSET_TYPE = "application/offset+octet-stream"
MOST_ASKED = 100
"""Files whose outcome is told at once."""


def _admit_form() -> None:
    """Refuse a form with photos before its first byte is read, if the disk has no room for it."""
    intake.require_room_for_form(request.content_length or 0)


ADMISSIONS = {"form": _admit_form}


@blueprint.get("/upload")
def page(event: Event, membership: Membership) -> str:
    """The page to hand photos in."""
    settings: Settings = current_app.extensions["settings"]
    return render_template(
        "studio/upload.html",
        event=event,
        membership=membership,
        way="tus" if blobs.store().direct_uploads is None else "s3",
        part_size=multipart.PART,
        limits={"max_photo_mb": settings.max_photo_mb, "max_megapixels": settings.max_megapixels},
        formats=_formats(),
        counts=_counts(event),
        lost=upload_ledger.trouble(event),
    )


@blueprint.get("/upload/lost")
def lost(event: Event, **_: Membership) -> str:
    """The files that did not come in, all of them, page by page."""
    before = request.args.get("before", type=_row_id)
    found = upload_ledger.trouble(event, before)
    more = found.total > len(found.rows)
    values = {"event": event, "lost": found, "next_page": found.rows[-1].id if more else None}
    page = "studio/_lost_rows.html" if request.htmx and before is not None else "studio/lost.html"
    return render_template(page, first=before is None, **values)


@blueprint.post("/photos")
def form(event: Event, membership: Membership) -> str:
    """Take photos in from the plain form, all at once. Each gets its own answer; too many are refused as a whole."""
    files = [file for file in request.files.getlist("files") if file.filename]
    if not files:
        raise Invalid(code="no_files")
    if len(files) > PHOTOS_IN_FORM:
        raise TooLarge(code="form_too_large")
    user = membership.user
    results = [intake.receive_photo(event, user, file.filename or "", file.stream) for file in files]
    page = "studio/_upload_rows.html" if request.htmx else "studio/uploaded.html"
    return render_template(page, event=event, results=results)


@blueprint.get("/upload/state")
def state(event: Event, **_: Membership) -> Response:
    """What a page that has been open for long needs to go on: a fresh token, and how things stand."""
    answer = jsonify(csrf_token=generate_csrf(), open=event.status is EventStatus.OPEN, counts=_counts(event))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.route("/files", methods=["POST", "OPTIONS"], provide_automatic_options=False)
def tus_create(event: Event, membership: Membership) -> Response:
    """Announce a file, perhaps with its first bytes; or ask what this server can do."""
    if request.method == "OPTIONS":
        return _tus(204, {"Tus-Max-Size": str(intake.largest())})
    _require_version()
    names = _metadata(request.headers.get("Upload-Metadata", ""))
    name = names.get("filename") or names.get("name") or ""
    progress = tus.begin(event, membership.user, name, _number("Upload-Length"))
    if request.mimetype == OFFSET_TYPE and progress.result is None:
        progress = tus.append(event, membership.user, progress.upload_id, 0, _body())
    return _tus(201, {"Location": f"{request.path}/{progress.upload_id}"}, progress)


@blueprint.route("/files/<upload_id>", methods=["HEAD"], provide_automatic_options=False)
def tus_head(event: Event, membership: Membership, upload_id: str) -> Response:
    """How many bytes of a file have arrived."""
    _require_version()
    progress = tus.progress(event, membership.user, upload_id)
    return _tus(200, {"Cache-Control": "no-store", "Upload-Length": str(progress.length)}, progress)


@blueprint.route("/files/<upload_id>", methods=["PATCH"], provide_automatic_options=False)
def tus_patch(event: Event, membership: Membership, upload_id: str) -> Response:
    """The next bytes of a file."""
    _require_version()
    if request.mimetype != OFFSET_TYPE:
        raise FindMeError(code="upload_protocol")
    offset = _number("Upload-Offset")
    return _tus(204, {}, tus.append(event, membership.user, upload_id, offset, _body()))


@blueprint.route("/files/<upload_id>", methods=["DELETE"], provide_automatic_options=False)
def tus_cancel(event: Event, membership: Membership, upload_id: str) -> Response:
    """Give a file up."""
    _require_version()
    tus.cancel(event, membership.user, upload_id)
    return _tus(204, {})


@blueprint.post("/s3")
def s3_begin(event: Event, membership: Membership) -> ResponseReturnValue:
    """Announce a file whose bytes go straight to the store. JSON: filename, size."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # lists within lists, without end
        body = None
    size = body.get("size") if isinstance(body, dict) else None
    if not isinstance(body, dict) or type(size) is not int or not 0 <= size < 10**15:
        raise FindMeError(code="upload_header_invalid")
    upload_id = multipart.begin(event, membership.user, str(body.get("filename") or ""), size)
    return jsonify(id=upload_id, part_size=multipart.PART), 201


@blueprint.get("/s3")
def s3_outcomes(event: Event, membership: Membership) -> Response:
    """What has become of files by now: `ids`, comma-separated. A worker looks into each, some time after it came."""
    ids = request.args.get("ids", "").split(",")[:MOST_ASKED]
    found = multipart.outcomes(event, membership.user, ids)
    answer = jsonify({upload_id: _told(result) for upload_id, result in found.items()})
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("/s3/<upload_id>")
def s3_echo(event: Event, membership: Membership, upload_id: str) -> Response:
    """What the client library takes for the store's answer when it opens or ends an upload: its name is our id.

    Both have been done, or will be, by calls with a token: s3_begin and s3_finish. The library says `application/xml`
    of what it ends an upload with.
    """
    multipart.require(event, membership.user, upload_id)
    ends = request.mimetype == "application/xml"
    root = "CompleteMultipartUploadResult" if ends else "InitiateMultipartUploadResult"
    name = escape(upload_id)
    return _xml(root, f"<Location>{name}</Location><Key>{name}</Key><UploadId>{name}</UploadId>")


@blueprint.get("/s3/<upload_id>/parts/<int:number>")
def s3_part(event: Event, membership: Membership, upload_id: str, number: int) -> Response:
    """The signed address of one part."""
    answer = jsonify(url=multipart.part_url(event, membership.user, upload_id, number))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/s3/<upload_id>")
def s3_parts(event: Event, membership: Membership, upload_id: str) -> Response:
    """The parts that have arrived: where an interrupted upload goes on."""
    rows = [
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag)}</ETag><Size>{part.size}</Size></Part>"
        for part in multipart.parts(event, membership.user, upload_id)
    ]
    return _xml("ListPartsResult", "".join(rows))


@blueprint.post("/s3/<upload_id>/complete")
def s3_finish(event: Event, membership: Membership, upload_id: str) -> Response:
    """All parts are there; the store knows which."""
    return jsonify(_told(multipart.finish(event, membership.user, upload_id)))


@blueprint.delete("/s3/<upload_id>")
def s3_cancel(event: Event, membership: Membership, upload_id: str) -> Response:
    """Give a file up."""
    multipart.cancel(event, membership.user, upload_id)
    return Response(status=204)


def refusal(error: FindMeError) -> ResponseReturnValue:
    """An error for a program: status, code and sentence. The edge does the rest: rolling back, raising alarms."""
    answer = jsonify(code=error.code, detail=explain(error))
    answer.headers.update({"FindMe-Reason": error.code, "FindMe-Detail": quote(explain(error))})
    answer.headers["Tus-Resumable"] = VERSION
    if error.code == "upload_protocol":
        answer.headers["Tus-Version"] = VERSION
    return answer, error.status


error_handlers.TELLS.update({f"{blueprint.name}.{name}": refusal for name in PROGRAMS})


def outcome(result: intake.UploadResult) -> dict[str, str]:
    """What became of a file, as headers. Sentences are percent-encoded: a header is ASCII."""
    headers = {"FindMe-Status": str(result.status), "FindMe-Photo": result.photo_id or ""}
    if result.reason:
        headers |= {"FindMe-Reason": result.reason, "FindMe-Detail": quote(sentence(result.reason))}
    return headers


def _told(result: intake.UploadResult) -> dict[str, str]:
    return {"status": str(result.status), "detail": str(sentence(result.reason)) if result.reason else ""}


def _tus(status: int, headers: dict[str, str], progress: Progress | None = None) -> Response:
    answer = Response(status=status)
    answer.headers["Tus-Resumable"] = VERSION
    if request.method == "OPTIONS":
        extensions = "creation,creation-with-upload,expiration,termination"
        answer.headers.update({"Tus-Version": VERSION, "Tus-Extension": extensions})
    answer.headers.update(headers)
    if progress is not None:
        answer.headers["Upload-Offset"] = str(progress.offset)
        if progress.expires_at is not None:
            answer.headers["Upload-Expires"] = http_date(progress.expires_at)
        if progress.result is not None:
            answer.headers.update(outcome(progress.result))
    return answer


def _require_version() -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        error = FindMeError(code="upload_protocol")
        error.status = 412
        raise error


def _row_id(value: str) -> int:
    """A row's key in an address; whatever can be none counts as absent."""
    if not is_row_id(int(value)):
        raise ValueError(value)
    return int(value)


def _number(header: str) -> int:
    value = request.headers.get(header, "")
    # What has more digits than any file has bytes is no number of bytes.
    if not (value.isascii() and value.isdigit() and len(value) <= 15):
        raise FindMeError(code="upload_header_invalid")
    return int(value)


def _metadata(header: str) -> dict[str, str]:
    """`name base64, name base64, …` as tus writes it."""
    found = {}
    try:
        for pair in filter(None, (part.strip() for part in header.split(","))):
            name, _, value = pair.partition(" ")
            found[name] = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise FindMeError(code="upload_header_invalid") from error
    return found


class _Body:
    """The request's bytes as they come. A connection that breaks is their end: what came before it is kept."""

    def read(self, size: int) -> bytes:
        try:
            return bytes(request.stream.read(size))
        except (ClientDisconnected, OSError):
            return b""


def _body() -> IO[bytes]:
    return cast("IO[bytes]", _Body())


def _xml(root: str, inner: str) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{inner}</{root}>'
    return Response(text, mimetype="application/xml", headers={"Cache-Control": "no-store"})


def _counts(event: Event) -> dict[str, int]:
    return {status.value: count for status, count in upload_ledger.counts(event).items()}


def _formats() -> dict[str, Any]:
    """What can be read here: for the file dialog, for people, and whether HEIC is among it."""
    heic = "HEIF" in imaging.FORMATS
    types = ["image/jpeg", "image/png", "image/webp", "image/avif", *(["image/heic", "image/heif"] if heic else [])]
    ends = [".jpg", ".jpeg", ".png", ".webp", ".avif", *([".heic", ".heif"] if heic else [])]
    names = ["JPEG", "PNG", "WebP", "AVIF", *(["HEIC"] if heic else [])]
    return {"accept": ",".join([*types, *ends]), "names": names, "heic": heic}
