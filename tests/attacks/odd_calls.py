"""Odd calls of every address: how they are drawn, how they are made, and what no answer may be.

A call is drawn without knowing the database: `$event`, `$photo`, … stand for ids and are filled in when it is made. So
the calls of a seed are always the same, and one that a failure prints can be repeated as it stands.
"""

import io
import json
import re
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from hypothesis import strategies as st
from werkzeug.routing import Rule
from werkzeug.test import run_wsgi_app

from tests.support.settings import SECRET
from webapp.web.access.security import QUEUE_PAGES
from webapp.web.requests import forms

WEBAPP = Path(forms.__file__).parents[2]
MAY_BE_AWAY = {"api_health.ready"}
"""Its 503 is an answer, and there are no workers here."""

SECRETS = (SECRET, "$argon2", "Traceback (most recent call last)", "sqlalchemy.exc", "psycopg.")
HEADERS = ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy")


@dataclass(frozen=True)
class Call:
    """One call. All texts are Latin-1, as WSGI hands bytes over; `path` is decoded already, as servers hand it over."""

    role: str
    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class Identity:
    """Whom calls of a role come from: what a browser sends, and what a program sends."""

    cookie: str = ""
    csrf: str = ""
    bearer: str = ""


@dataclass
class Target:
    """The app, who calls it, and the ids that calls name."""

    app: Flask
    identities: dict[str, Identity]
    ids: dict[str, str]

    def make(self, call: Call) -> str:
        """Make a call; returns what is wrong with its answer, or an empty text."""
        with structlog.testing.capture_logs() as logs:
            try:
                body, status, headers = run_wsgi_app(self.app, self._environ(call), buffered=True)
            except Exception:
                return f"no answer:\n{traceback.format_exc(limit=-4)}"
        content = b"".join(body)
        endpoint = self._endpoint(call)
        code = int(status.split()[0])
        if code >= 500 and endpoint not in MAY_BE_AWAY:
            return f"{status}\n{_crash(logs)}"
        if found := [secret for secret in SECRETS if secret.encode() in content]:
            return f"{status}, and the body shows {found}"
        if missing := [name for name in HEADERS if name not in headers]:
            return f"{status}, without {missing}"
        return ""

    def _endpoint(self, call: Call) -> str:
        try:
            adapter = self.app.url_map.bind("localhost")
            return str(adapter.match(self._fill(call.path), call.method)[0])
        except Exception:
            return ""

    def _environ(self, call: Call) -> dict[str, Any]:
        body = self._fill(call.body).encode("latin-1")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": call.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": self._fill(call.path),
            "QUERY_STRING": self._fill(call.query),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        headers = {"Host": "localhost", "Content-Length": str(len(body))} | self._signed(call) | call.headers
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = self._fill(value)
        return environ

    def _signed(self, call: Call) -> dict[str, str]:
        """What proves who calls. A header of the call itself comes before it."""
        who = self.identities[call.role]
        if who.bearer and (call.path.startswith("/api/") or not who.cookie):
            return {"Authorization": f"Bearer {who.bearer}"}
        if call.path.startswith(QUEUE_PAGES):
            return {"Cookie": who.cookie, "Origin": "http://localhost"}
        return {"Cookie": who.cookie, "X-CSRFToken": who.csrf}

    def _fill(self, text: str) -> str:
        for name, value in self.ids.items():
            text = text.replace(f"${name}", value)
        return text


def _crash(logs: list[Any]) -> str:
    """The end of the traceback that the app logged."""
    crashes = [entry["exc_info"] for entry in logs if isinstance(entry.get("exc_info"), BaseException)]
    return "".join(traceback.format_exception(crashes[-1])[-5:]) if crashes else str(logs)


# --- how calls are drawn ---

PLACES = {
    "event_id": ["$event", "$other_event"],
    "code": ["PARTY234", "OTHER234"],
    "photo_id": ["$photo", "$other_photo"],
    "match_id": ["$match"],
    "selfie_id": ["$selfie", "$other_selfie"],
    "person_id": ["$person", "$other_person"],
    "user_id": ["$account", "$bystander"],
    "account_id": ["$account", "$bystander"],
    "token_id": ["$token"],
    "token": ["$link", "$invitation"],
    "invitation_id": ["$invitation_row"],
    "upload_id": ["$upload"],
    "kind": ["svg", "png", "preview", "thumb", "original"],
    "colours": ["1f5f8a", "1f5f8a-145f5c"],
    "filename": ["css/base.css", "css/main.css", "../../webapp/settings.py", "css"],
    "instance_number": ["0", "1", "99"],
    "queue_name": ["mail", "default", "nothing"],
    "registry_name": ["queued", "failed", "started", "finished", "deferred", "scheduled", "canceled", "lost"],
    "per_page": ["8", "0", "-1", "1", "x"],
    "page": ["1", "0", "-1", "2", "x", "9" * 30],
    "order": ["asc", "dsc", "no"],
    "job_id": ["$job", "nothing"],
    "number": ["1", "0", "10001"],
}
"""What is really there, by the name that rules and forms give it."""

IDS = sorted({value for values in PLACES.values() for value in values if value.startswith("$")})
ODD = [
    "", " ", "0", "-1", "1", "9" * 30, "1e999", "NaN", "\0", "a\0b", "%00", "%", "%zz", "..", "../../etc/passwd",
    "..\\..\\", "/", "//", "//evil.example", "http://[", "http://[::1", "//[", "javascript:alert(1)", "\ud800",
    "\u202e\u200b", "İıſﬀ", "𝒜" * 40, "x" * 5000, "<b>", "{{7*7}}", "%s%n{0}", "'\"`;--", "\r\nX: y", "\t", "\x7f",
    "²", "٣", "-0", "1.5", "true", "null", "2026-13-45", "0000-00-00", "9999-12-31", "0001-01-01", "#ffffff", "y",
    "join", "erase", "disown", "confirmed", "rejected", "none", "hide", "share", "publish", "delete", "replace",
    "a@b.example", "Europe/Paris", "../UTC", "/", "fr", "tus", "$cookie",
]  # fmt: skip
ODD_TEXT = st.sampled_from(ODD) | st.sampled_from(IDS) | st.text(max_size=12)

RAW = st.sampled_from(["\xff\xfe", "\xed\xa0\x80", "%ff", "%ed%a0%80", "+", "&", "=", ";", "\xc0\xaf"])
"""Bytes that are no UTF-8, and marks that mean something in addresses and forms."""


def _names() -> list[str]:
    """The names of all inputs: those of forms and schemas, and those that views ask requests for."""
    asked = re.compile(r'(?:args|form|files|body)(?:\.get|\.getlist|\.pop)?[(\[]\s*"(\w+)"')
    fields = re.compile(r"^    (\w+) = (?:\w+Field|fields\.\w+)\(", re.MULTILINE)
    web, requests = WEBAPP / "web", WEBAPP / "web" / "requests"
    files = [requests / "forms.py", web / "polls.py", *(WEBAPP / "pages").glob("*.py"), *(WEBAPP / "api").glob("*.py")]
    text = "\n".join(path.read_text() for path in sorted(files))
    return sorted({*asked.findall(text), *fields.findall(text), "csrf_token", "cursor"})


NAMES = _names()


def _bytes(text: str) -> str:
    """A text as its UTF-8 bytes, in Latin-1; a lone surrogate becomes the three bytes that it would be."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _quoted(text: str) -> str:
    return "".join(
        char if char.isascii() and (char.isalnum() or char in "-_.~$") else f"%{ord(char):02x}" for char in _bytes(text)
    )


NAME = st.sampled_from(NAMES) | st.sampled_from(NAMES) | ODD_TEXT


@st.composite
def pairs(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Names with values; some names twice, and some with the value that is really there."""
    made = []
    for name in draw(st.lists(NAME, max_size=6)):
        value = draw(st.sampled_from(PLACES[name]) if name in PLACES and draw(st.booleans()) else ODD_TEXT)
        made += [(name, value)] * draw(st.sampled_from([1, 1, 1, 2]))
    return made


def _encoded(made: list[tuple[str, str]]) -> str:
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in made)


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=6,
)
JSON_TEXT = (
    st.dictionaries(NAME, JSON_VALUE, max_size=5).map(json.dumps)
    | JSON_VALUE.map(json.dumps)
    | st.sampled_from(["", "{", "[" * 5000, '{"a":1}}', "\xff", '"\\ud800"', "NaN", "1e999999", "9" * 5000])
)
FILES = ["", "text", "\xff\xd8\xff\xe0", "GIF89a\1\0\1\0", "\x89PNG\r\n\x1a\n" + "\0" * 40, "BM", "$jpeg"]
FORM, MULTIPART, JSON_TYPE = "application/x-www-form-urlencoded", "multipart/form-data", "application/json"
TYPES = [
    FORM, MULTIPART, JSON_TYPE, "", "text/plain", "application/json; charset=nonsense", f"{FORM}; charset=utf-16",
    f"{MULTIPART}; boundary=", f"{MULTIPART}; boundary=\xff", f"{MULTIPART}; boundary={'x' * 300}", "application/xml",
    "application/merge-patch+json", "application/offset+octet-stream", "x", "/", ";", "\xff", f"{FORM};;=", '"',
    "application/vnd.api+json", "text/html; charset=\"",
]  # fmt: skip


@st.composite
def multipart(draw: st.DrawFn) -> tuple[str, str]:
    """A content type and a body: whole parts, or parts that break off, lack their names, or are none."""
    parts = []
    for name, value in draw(pairs()):
        named = _bytes(name).replace("\r", "").replace("\n", "")
        if draw(st.booleans()):
            content = draw(st.sampled_from(FILES))
            file = draw(st.sampled_from(["a.jpg", "", "../x.jpg", "\xff.jpg", "a\0b", "x" * 300]))
            parts.append(
                f'Content-Disposition: form-data; name="{named}"; filename="{file}"\r\n'
                f"Content-Type: {draw(st.sampled_from(['image/jpeg', 'x', '']))}\r\n\r\n{content}"
            )
        else:
            parts.append(f'Content-Disposition: form-data; name="{named}"\r\n\r\n{_bytes(value)}')
    parts += draw(st.lists(st.sampled_from(["", "\r\n\r\n", "Content-Disposition: x\r\n\r\ny", "\xff"]), max_size=1))
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + draw(st.sampled_from(["--b--\r\n", "", "--b", "--b--x"]))
    kind = draw(st.sampled_from([f"{MULTIPART}; boundary=b"] * 4 + [MULTIPART, f"{MULTIPART}; boundary=c"]))
    return kind, body


BODIES = st.one_of(
    pairs().map(lambda made: (FORM, _encoded(made))),
    pairs().map(lambda made: (FORM, _encoded(made))),
    multipart(),
    JSON_TEXT.map(lambda text: (JSON_TYPE, text)),
    JSON_TEXT.map(lambda text: (JSON_TYPE, text)),
    st.tuples(st.sampled_from(TYPES), JSON_TEXT | RAW | pairs().map(_encoded)),
)

HEADER_VALUES = {
    "Range": ["bytes=0-", "bytes=-1", "bytes=5-2", "bytes=0-0,5-9", "items=1", f"bytes={'9' * 40}-", "bytes=", "\xff"],
    "If-None-Match": ['"x"', "*", 'W/"', '"', "\xff"],
    "If-Match": ["*", '"x"'],
    "If-Range": ['"x"', "yesterday"],
    "If-Modified-Since": ["yesterday", "Thu, 01 Jan 1970 00:00:00 GMT", "0", "Thu, 99 Jan 99999 00:00:00 GMT"],
    "HX-Request": ["true", "false", "\xff"],
    "HX-Current-URL": ["http://localhost/studio/", "http://[", "\xff", "javascript:1", "//[", ""],
    "HX-Current-URL-URI-AutoEncoded": ["true"],
    "HX-Trigger": ["wake", "\xff", "%ff"],
    "Triggering-Event": ["{", "[1]", "\xff"],
    "Accept-Language": ["fr", "fr;q=x", "*", "xx-" * 200, "\xff", "de-DE-1996;q=1e999", "en_US.UTF-8", "a;q=-1"],
    "Accept": ["text/html", "application/json", "*", ";;", "\xff"],
    "Content-Type": TYPES,
    "Content-Length": ["abc", "-1", "9" * 30, "", "1", "0", "1000000"],
    "Cookie": ["findme=", "findme=x", "findme=\xff", "device=\xff", ";;;=", "findme=.eJx", "x" * 3000, "\xff=\xff"],
    "Authorization": ["Bearer", "Bearer \xff", "Basic !!!", "Basic /w==", "Digest x", "Bearer " + "x" * 3000, "\xff"],
    "Upload-Length": ["1", "0", "-1", "x", "9" * 30, "\xb2"],
    "Upload-Offset": ["0", "1", "x", "\xb2"],
    "Upload-Metadata": ["filename eA==", "filename /w==", "x", ",", "filename AA==", "\xff", "filename 7aCA"],
    "Tus-Resumable": ["1.0.0", "1.0.0", "0.2.2"],
    "Host": ["", "localhost:99999999", "[", "a b", "\xe9vil", "evil.example", "[::1]:x", "localhost:"],
    "Origin": ["null", "http://[", "http://localhost", "\xff", "http://localhost:x"],
    "Referer": ["http://[", "\xff"],
    "User-Agent": ["", "x" * 3000, "\xff\0"],
    "X-CSRFToken": ["", "x", "\xff"],
    "X-Forwarded-For": ["\xff", "1.2.3.4, x"],
    "X-Request-Id": ["\xff", "x" * 3000],
    "Transfer-Encoding": ["chunked"],
    "Idempotency-Key": ["\xff"],
}
ODD_HEADERS = st.lists(
    st.sampled_from(sorted(HEADER_VALUES)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(HEADER_VALUES[name]))
    ),
    max_size=3,
).map(dict)
TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Upload-Length": "4"}


@st.composite
def _path(draw: st.DrawFn, rule: Rule) -> str:
    """A rule's address: each gap holds what is really there, or something odd."""

    def value(gap: re.Match[str]) -> str:
        real = PLACES.get(gap[1], IDS)
        odd = draw(st.sampled_from([False] * 3 + [True]))
        return draw(RAW | ODD_TEXT.map(_bytes)) if odd else draw(st.sampled_from(real))

    return re.sub(r"<(?:[^:<>]+:)?(\w+)>", value, rule.rule)


@st.composite
def calls(draw: st.DrawFn, rule: Rule, method: str) -> Call:
    """A call of one address, by a client that is not signed in."""
    headers: dict[str, str] = {}
    body = ""
    if method not in ("GET", "HEAD", "OPTIONS") or draw(st.sampled_from([False] * 5 + [True])):
        headers["Content-Type"], body = draw(BODIES)
    if rule.endpoint.startswith("uploading.") and draw(st.booleans()):
        headers |= TUS
    headers |= draw(ODD_HEADERS)
    query = _encoded(draw(pairs())) + draw(st.just("") | RAW) if draw(st.booleans()) else ""
    return Call("nobody", method, draw(_path(rule)), query, headers, body)
