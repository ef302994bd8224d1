"""Names that one part only says and another has to know: jobs, codes and their sentences, settings, mails."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.checkers import python_format
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from jobs import rq_settings
from webapp import errors, queueing, reasons
from webapp.errors import FindMeError
from webapp.faces.core.protocols import REASONS
from webapp.models import Photo
from webapp.pictures import imaging
from webapp.settings import ROOT, Settings
from webapp.web import mails
from webapp.web.localisation import LANGUAGES
from webapp.web.requests import error_handlers

ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, FindMeError)}
TELLERS = {"_decide", "_fail", "_try_later", "_postpone", "fault"}
"""Functions that take a code as a plain argument."""

WORD = re.compile(r"[a-z][a-z_]+")


# --- jobs ---


@pytest.mark.parametrize("kind", queueing.JOB_KINDS, ids=lambda kind: kind.function)
def test_every_kind_of_job_is_a_function_of_jobs_tasks(kind: queueing.JobKind) -> None:
    module, _, name = kind.function.rpartition(".")
    assert module == "jobs.tasks"
    assert callable(getattr(importlib.import_module(module), name, None)), f"{kind.function} is not there"
    assert kind.queue in queueing.QUEUES


def test_the_workers_listen_to_every_queue() -> None:
    assert set(rq_settings.QUEUES) == set(queueing.QUEUES)
    assert rq_settings.QUEUES[0] == queueing.SELFIES, "no guest waits behind photos"


def test_no_two_kinds_of_job_share_an_id() -> None:
    assert len({kind.job_id("row") for kind in queueing.JOB_KINDS}) == len(queueing.JOB_KINDS)


# --- codes and sentences ---


def test_every_code_that_is_raised_has_a_sentence() -> None:
    codes = dict(_codes())
    assert len(codes) > 40, "the search for codes finds no longer what it should"
    assert {code: place for code, place in codes.items() if code not in reasons.SENTENCES} == {}


def test_every_reason_of_the_face_engine_and_of_imaging_has_a_sentence() -> None:
    assert {*REASONS, *imaging.FAULTS, *error_handlers._CODES.values()} - set(reasons.SENTENCES) == set()


def test_sentences_are_whole_sentences_that_fit_their_column() -> None:
    for code, text in reasons.SENTENCES.items():
        assert re.match(r"[A-Z“]", str(text)), code
        assert str(text).endswith((".", "?", "!")), code
        assert len(code) <= 255 and WORD.fullmatch(code)
    assert Photo.failure_reason.type.length == 255


def test_a_code_without_a_sentence_still_gets_a_helpful_one() -> None:
    assert reasons.sentence("nobody wrote one") == reasons.sentence(None) != ""


def _codes() -> Iterator[tuple[str, str]]:
    """Every code in the source, and where it stands."""
    for room in ("webapp", "jobs"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for code in _codes_of(node):
                    yield code, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def _codes_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ERRORS:
            yield from (word for keyword in node.keywords for word in _words(keyword.value, in_fields=keyword.arg))
        if name in TELLERS:
            yield from (word for argument in node.args[1:] or node.args for word in _words(argument, in_fields="code"))
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and getattr(target.value, "id", "") == "fields":
            yield from _words(node.value, in_fields="code")
        if isinstance(target, ast.Name) and target.id == "code":
            yield from _words(node.value, in_fields="code")


def _words(value: ast.expr, in_fields: str | None) -> Iterator[str]:
    if in_fields == "code":
        inner = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    elif in_fields == "fields" and isinstance(value, ast.Dict):
        inner = value.values
    else:
        inner = []
    for item in inner:
        if isinstance(item, ast.Constant) and isinstance(item.value, str) and WORD.fullmatch(item.value):
            yield item.value


# --- languages ---


@cache
def _said() -> dict[str, Message]:
    """Every sentence in the source and the templates, by its text."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    catalog = Catalog()
    found = extract_from_dir(ROOT, methods, options, keywords=KEYWORDS, directory_filter=_is_ours)
    for name, line, text, comments, context in found:
        catalog.add(text, None, [(name, line)], auto_comments=comments, context=context)
    return {_key(message): message for message in catalog if message.id}


KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "lazy_gettext": None,
    "lazy_ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}


def _is_ours(folder: str) -> bool:
    inside = Path(folder).resolve().relative_to(ROOT)
    return not inside.parts or inside.parts[0] in ("webapp", "templates")


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _translated(language: str) -> Catalog:
    path = ROOT / "webapp" / "translations" / language / "LC_MESSAGES" / "messages.po"
    return read_po(BytesIO(path.read_bytes()), locale=language)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_everything_is_said_in_every_language(language: str) -> None:
    said, catalog = _said(), {_key(message): message for message in _translated(language) if message.id}
    assert len(said) > 100, "the search for sentences finds no longer what it should"
    assert sorted(set(said) - set(catalog)) == [], "these are not translated"
    assert sorted(set(catalog) - set(said)) == [], "these are said nowhere any more"
    for text, message in catalog.items():
        words = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(words), f"not translated: {text}"
        assert not message.fuzzy, f"only guessed: {text}"
        python_format(None, message)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_code_has_its_sentence_in_every_language(language: str) -> None:
    catalog = {_key(message): message for message in _translated(language) if message.id}
    assert {code for code, text in reasons.SENTENCES.items() if not catalog[str(text)].string} == set()


# --- settings and mails ---


def test_every_setting_is_explained_in_the_example() -> None:
    explained = (ROOT / ".env.example").read_text(encoding="utf-8")
    missing = [name.upper() for name in Settings.model_fields if not re.search(rf"\b{name.upper()}\b", explained)]
    assert missing == []


def test_the_example_names_no_setting_that_is_none() -> None:
    named = re.findall(r"^#?\s?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert [name for name in named if name.lower() not in Settings.model_fields] == []


def test_every_kind_of_mail_has_a_text_and_a_page() -> None:
    for kind in mails.RENDERERS:
        for ending in ("txt", "html"):
            assert (ROOT / "templates" / "mail" / f"{kind}.{ending}").is_file()
