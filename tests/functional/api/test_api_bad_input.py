"""Bad input to the JSON API: always the documented form of an error with a sentence that helps, never a crash."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from tests.support import faces
from tests.support.actors import PASSWORD, Api, World, selfie
from webapp.db.extensions import db
from webapp.models import Selfie, User, UserRole, UserSession
from webapp.pictures import imaging
from webapp.reasons import SENTENCES

NUL, LONE = "a\0b", "\ud800"
HUGE = 10**30


def refusal(answer: TestResponse) -> tuple[int, str, set[str]]:
    """Status, code and fields of an error, once its form is the documented one."""
    body = answer.json
    assert answer.mimetype == "application/json" and isinstance(body, dict), answer.text[:300]
    assert set(body) == {"detail", "code", "fields"}, body
    assert body["code"] in SENTENCES, f"no sentence for {body['code']}"
    assert body["detail"] == str(SENTENCES[body["code"]])
    assert all(body["fields"].values())
    assert answer.status_code < 500
    return answer.status_code, body["code"], set(body["fields"])


def picture(frame: np.ndarray | None = None, color: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    """A JPEG of these pixels, or a plain one."""
    image = Image.fromarray(frame) if frame is not None else Image.new("RGB", (800, 800), color)
    target = io.BytesIO()
    image.save(target, "JPEG", quality=90)
    return target.getvalue()


def registration(**changes: Any) -> dict[str, Any]:
    user = {"username": "Ada", "email": "ada@example.com", "password": PASSWORD}
    body = {"event_code": "PARTY234", "consent": True}
    outer = {key: changes.pop(key) for key in list(changes) if key in body}
    return {"user_data": user | changes, **body, **outer}


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


# --- joining ---


@pytest.mark.usefixtures("event_id")
def test_a_wrong_code_is_answered_with_a_sentence(api: Api) -> None:
    assert api.post("/check-event-code", json={"event_code": "NOPE9999"}).json == {"valid": False, "event": None}
    assert api.post("/check-event-code", json={"event_code": " par-ty 234 "}).json["valid"] is True
    wrong = {
        "register": api.post("/register-with-event-code", json=registration(event_code="NOPE9999")),
        "availability": api.post("/check-user-availability", json={"event_code": "NOPE9999"}),
        "join": api.register("PARTY234", "bob").post("/join-event", json={"event_code": "NOPE9999"}),
    }
    assert {name: refusal(answer)[:2] for name, answer in wrong.items()} == dict.fromkeys(
        wrong, (404, "event_code_unknown")
    )


@pytest.mark.usefixtures("event_id")
def test_all_faults_of_a_registration_are_told_at_once(api: Api) -> None:
    faulty = registration(username=" ", email="ada@", password="short", user_type="admin")
    everything = {"username", "email", "password", "user_type"}
    assert refusal(api.post("/register-with-event-code", json=faulty))[0::2] == (422, everything)
    api.register("PARTY234", "Grace")
    taken = registration(username=" grace ", email="ada@", password="short")
    answer = api.post("/register-with-event-code", json=taken)
    assert refusal(answer)[2] == {"username", "email", "password"}
    assert answer.json["fields"]["username"] == str(SENTENCES["username_taken"])


@pytest.mark.usefixtures("event_id")
def test_all_faults_of_an_invitation_are_told_at_once(api: Api) -> None:
    form = {"username": "", "email": "no", "password": "x", "event_code": "PARTY234", "consent": "false"}
    answer = api.post("/register-invite-with-selfie", data=form | {"file": (io.BytesIO(b"no picture"), "a.jpg")})
    assert refusal(answer)[0::2] == (422, {"username", "email", "password", "consent"})


@pytest.mark.usefixtures("event_id")
def test_missing_fields_are_named(api: Api) -> None:
    guest = api.register("PARTY234", "bob")
    missing = {
        "check-event-code": (api, {}, {"event_code"}),
        "register-with-event-code": (api, {"user_data": {"username": "A"}}, {"email", "password", "event_code"}),
        "login": (api, {}, {"username", "password"}),
        "consent": (guest, {}, {"granted"}),
        "matches/x": (guest, {}, {"verdict"}),
    }
    for path, (caller, body, fields) in missing.items():
        assert refusal(caller.post(f"/{path}", json=body)) == (422, "invalid", fields), path
    assert refusal(guest.post("/upload-selfie", data={"consent": "true"})) == (422, "invalid", {"file"})
    nothing = api.post("/register-invite-with-selfie", data={})
    assert refusal(nothing)[2] == {"username", "email", "password", "event_code", "file"}


def test_an_address_with_an_account_gets_the_same_answer_as_any(api: Api, world: World, event_id: str) -> None:
    world.person("known@example.com")
    answers = {
        address: api.post("/register-with-event-code", json=registration(username=name, email=address))
        for name, address in (("Ada", "known@example.com"), ("Bob", "new@example.com"))
    }
    known, new = (_shape(answer) for answer in answers.values())
    assert known == new
    for address in answers:
        body = {"event_code": world.code, "email": address}
        assert api.post("/check-user-availability", json=body).json["email_taken"] is False
    # The account that was there is untouched, and the new one is not let into it.
    assert api.login("known@example.com").get("/me").json["events"] == []
    assert Api(api.app, answers["known@example.com"].json["access_token"]).get("/me").json["username"] == "Ada"


def test_joining_and_uploading_end_when_the_event_is_closed(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    _change(api.app, "UPDATE event SET status = 'closed'")
    assert refusal(api.post("/register-with-event-code", json=registration(username="Bob")))[:2] == (
        409,
        "event_closed",
    )
    owner = api.login("photographer@example.com")
    assert refusal(owner.upload_photos(event_id, ("a.jpg", picture())))[:2] == (409, "event_closed")
    assert guest.get("/my-photos").status_code == 200


# --- bodies that are none ---


@pytest.mark.usefixtures("event_id")
def test_malformed_bodies_never_crash(api: Api) -> None:
    guest = api.register("PARTY234", "bob")
    bodies = {
        "cut off": b'{"event_code": "PAR',
        "not JSON": b"event_code=PARTY234",
        "not text": b"\xff\xfe\x00",
        "a list": b"[]",
        "a number": b"5",
        "null": b"null",
        "too deep": b"[" * 50_000,
        "too many digits": b'{"event_code": ' + b"9" * 5_000 + b"}",
        "wrong types": b'{"event_code": {"a": 1}, "username": [], "password": 5, "granted": "perhaps", "verdict": 1}',
    }
    paths = ("check-event-code", "register-with-event-code", "login", "join-event", "consent", "matches/x")
    for path in paths:
        for name, body in bodies.items():
            answer = guest.post(f"/{path}", data=body, content_type="application/json")
            assert refusal(answer)[0] in (400, 422), (path, name)


@pytest.mark.usefixtures("event_id")
def test_characters_that_no_database_takes_never_crash(api: Api) -> None:
    guest = api.register("PARTY234", "bob")
    for text in (NUL, LONE):
        bodies = {
            "check-event-code": {"event_code": text},
            "check-user-availability": {"event_code": "PARTY234", "username": text, "email": text},
            "login": {"username": text, "password": text},
            "join-event": {"event_code": text},
            "consent": {"granted": True, "version": text},
            "register-with-event-code": registration(username=text, email=f"{text}@example.com", password=text * 8),
        }
        for path, body in bodies.items():
            assert refusal(guest.post(f"/{path}", json=body))[0] in (401, 404, 422), (path, text)
    for path in ("/photo/%00", "/my-photos?event_id=%00", "/my-photos?cursor=%00", "/rematch-status?event_id=a%00b"):
        assert refusal(guest.get(path))[0] in (404, 422), path
    assert refusal(guest.post("/matches/%00", json={"verdict": "none"}))[0] in (404, 422)
    form = {"username": NUL, "email": NUL, "password": PASSWORD, "event_code": NUL, "consent": "true"}
    answer = api.post("/register-invite-with-selfie", data=form | {"file": (io.BytesIO(picture()), "a.jpg")})
    assert refusal(answer)[0] in (404, 422)


@pytest.mark.usefixtures("event_id")
def test_names_with_long_gaps_are_kept_short(api: Api) -> None:
    name = "Ada" + " " * 300 + "Lovelace"
    answer = api.post("/register-with-event-code", json=registration(username=name))
    assert answer.status_code == 201 and answer.json["user"]["username"] == "Ada Lovelace"


def test_wrong_methods_are_refused_and_the_right_ones_named(api: Api, event_id: str) -> None:
    posts = ("check-event-code", "register-with-event-code", "login", "upload-selfie", "join-event", "matches/x")
    calls = [("GET", path, {"POST"}) for path in posts]
    calls += [("POST", "my-photos", {"GET"}), ("PUT", "me", {"GET"}), ("DELETE", "photo/x", {"GET"})]
    calls += [("PATCH", "photographer/events", {"GET", "POST"}), ("TRACE", "me", {"GET"})]
    for method, path, allowed in calls:
        answer = api.call(method, f"/{path}")
        assert refusal(answer)[:2] == (405, "method_not_allowed"), path
        assert set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == allowed, path


def test_unknown_addresses_are_answered_in_our_form(api: Api) -> None:
    for path in ("/no-such-call", "/", "/matches", "/photo/a/b", "/photographer/events/x", "/%00", "/my-photos/"):
        for method in ("GET", "POST"):
            assert refusal(api.call(method, path))[:2] == (404, "not_found"), path


@pytest.mark.usefixtures("event_id")
def test_other_content_types_are_refused(api: Api) -> None:
    guest = api.register("PARTY234", "bob")
    kinds = (
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "?",
    )
    for path in ("check-event-code", "register-with-event-code", "login", "join-event", "consent", "matches/x"):
        for kind in kinds:
            answer = guest.post(f"/{path}", data=b'{"event_code": "PARTY234"}', content_type=kind)
            assert refusal(answer)[:2] == (415, "json_expected"), (path, kind)
    for path in ("upload-selfie", "validate-selfie", "register-invite-with-selfie"):
        for kind in ("application/json", "image/jpeg", ""):
            answer = guest.post(f"/{path}", data=picture(), content_type=kind)
            assert refusal(answer)[:2] == (415, "form_expected"), (path, kind)
        broken = guest.post(f"/{path}", data=b"--y\r\nno end", content_type="multipart/form-data")
        assert refusal(broken)[0] in (400, 422), path
    json_like = guest.post(
        "/consent", data=b'{"granted": true}', content_type="application/vnd.api+json; charset=utf-8"
    )
    assert json_like.status_code == 200


@pytest.mark.usefixtures("event_id")
def test_a_file_in_place_of_a_text_and_a_text_in_place_of_a_file(api: Api) -> None:
    guest = api.register("PARTY234", "bob")
    as_text = guest.post("/upload-selfie", data={"file": "not a file"})
    assert refusal(as_text) == (422, "invalid", {"file"})
    as_file = guest.post(
        "/upload-selfie", data={"file": (io.BytesIO(picture()), "a.jpg"), "event_id": (io.BytesIO(b"x"), "b.txt")}
    )
    assert refusal(as_file) == (422, "invalid", {"event_id"})
    many = {f"field{number}": "x" for number in range(1_500)}
    assert refusal(guest.post("/upload-selfie", data=many | {"file": (io.BytesIO(picture()), "a.jpg")}))[0] == 413


def test_parts_of_a_picture_that_are_not_there_are_refused(api: Api, world: World) -> None:
    world.party(1)
    (photo,) = api.login("photographer@example.com").get(f"/photographer/events/{_event(api)}/photos").json
    owner = api.login("photographer@example.com")
    client, headers = api.app.test_client(), {"Authorization": f"Bearer {owner.token}"}
    answer = client.get(photo["url"], headers=headers | {"Range": "bytes=99999999-"})
    assert refusal(answer)[:2] == (416, "range_invalid")
    assert answer.headers["Content-Range"].startswith("bytes */")
    assert client.get(photo["url"], headers=headers | {"Range": "bytes=0-9"}).status_code == 206


# --- selfies ---


@pytest.mark.usefixtures("event_id")
def test_files_that_are_no_selfie_are_refused_at_once_and_leave_nothing(api: Api) -> None:
    guest = api.register("PARTY234", "bob")
    jpeg = picture()
    files = {
        "text": (b"I am a text file.", 415, "not_a_picture"),
        "empty": (b"", 415, "empty"),
        "30 MB": (jpeg + b"\0" * 30_000_000, 413, "selfie_too_large"),
        # Where the library for it is installed, this is one that breaks off.
        "heic": (b"\0\0\0\x18ftypheic" + b"\0" * 100, 415, "truncated" if imaging.HEIC else "heic"),
        "head only": (jpeg[:30], 415, "truncated"),
    }
    assert {name: refusal(guest.upload_selfie(content)) for name, (content, *_) in files.items()} == {
        name: (status, code, {"file"}) for name, (_, status, code) in files.items()
    }
    assert refusal(guest.upload_selfie(jpeg, angle="above"))[:2] == (422, "angle_invalid")
    assert guest.get("/rematch-status").json["status"] == "idle"
    with api.app.app_context():
        assert list(api.app.extensions["blobs"].keys("")) == []


def test_pictures_without_one_clear_face_are_refused_by_the_worker(api: Api, world: World, event_id: str) -> None:
    two = np.hstack([faces.portrait("grace")[:500, :500], faces.portrait("eileen")[:500, :500]])
    pictures = {
        "no face": (picture(color=(120, 125, 130)), {"no_face"}),
        "two faces": (picture(two), {"several_faces"}),
        "a cat": (picture(faces.cat()), {"no_face", "unclear", "too_small", "turned_away"}),
        "black": (picture(), {"no_face", "too_dark"}),
        "half a file": (selfie("grace")[:20_000], {"truncated"}),
    }
    guests = {name: api.register(world.code, f"guest{place}") for place, name in enumerate(pictures)}
    for name, (content, _) in pictures.items():
        assert guests[name].upload_selfie(content).json == {"status": "received"}
    world.work()
    for name, (_, reasons) in pictures.items():
        status = guests[name].get("/rematch-status").json
        assert status["status"] == "rejected", (name, status)
        assert status["reason"] in reasons, (name, status)
        assert status["detail"] == str(SENTENCES[status["reason"]])
        assert guests[name].photo_ids() == []


def test_a_selfie_needs_an_event_that_is_ones_own(api: Api, world: World, event_id: str) -> None:
    world.event("OTHER234")
    other = api.login("photographer@example.com").get("/photographer/events").json
    foreign = next(event["id"] for event in other if event["code"] == "OTHER234")
    guest = api.register(world.code)
    assert refusal(guest.upload_selfie(picture(), event_id=foreign))[:2] == (404, "not_found")
    assert refusal(guest.upload_selfie(picture(), event_id="nothing"))[:2] == (404, "not_found")


# --- photos ---


def test_a_mixed_batch_gets_one_row_each(api: Api, world: World, event_id: str) -> None:
    owner = api.login("photographer@example.com")
    red, blue = picture(color=(200, 0, 0)), picture(color=(0, 0, 200))
    answer = owner.upload_photos(
        event_id,
        ("red.jpg", red),
        ("notes.txt", b"not a photo"),
        ("again.jpg", red),
        ("empty.jpg", b""),
        ("../../etc/blue.jpg", blue),
    )
    assert answer.status_code == 207
    rows = answer.json["files"]
    assert [(row["filename"], row["status"], row["reason"]) for row in rows] == [
        ("red.jpg", "accepted", None),
        ("notes.txt", "rejected", "not_a_picture"),
        ("again.jpg", "duplicate", None),
        ("empty.jpg", "rejected", "empty"),
        ("blue.jpg", "accepted", None),
    ]
    assert rows[0]["id"] == rows[2]["id"]
    assert [bool(row["detail"]) for row in rows] == [False, True, False, True, False]
    world.work()
    assert set(world.statuses().values()) == {"indexed"}


def test_a_photo_that_breaks_off_ends_as_failed_with_its_reason(api: Api, world: World, event_id: str) -> None:
    owner = api.login("photographer@example.com")
    noise = np.random.default_rng(1).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    whole = picture(noise)
    assert owner.upload_photos(event_id, ("half.jpg", whole[: len(whole) // 2])).status_code == 200
    world.work()
    (row,) = owner.get(f"/photographer/events/{event_id}/photos").json
    assert (row["status"], row["reason"]) == ("failed", "truncated")
    assert row["detail"] == str(SENTENCES["truncated"])
    again = owner.upload_photos(event_id, ("half.jpg", whole[: len(whole) // 2])).json["files"][0]
    assert (again["status"], again["id"]) == ("accepted", row["id"])


def test_an_upload_without_files_is_refused(api: Api, event_id: str) -> None:
    owner = api.login("photographer@example.com")
    empty = owner.post(f"/photographer/events/{event_id}/upload-photos", data={})
    assert refusal(empty) == (422, "no_files", {"files"})
    as_text = owner.post(f"/photographer/events/{event_id}/upload-photos", data={"files": "not a file"})
    assert refusal(as_text) == (422, "no_files", {"files"})


def test_bodies_beyond_every_limit_are_refused(api: Api, event_id: str) -> None:
    big = {"event_code": "x" * 3_000_000}
    assert refusal(api.post("/check-event-code", json=big))[:2] == (413, "too_large")
    guest = api.register("PARTY234")
    assert refusal(guest.upload_selfie(b"\0" * 65 * 1024 * 1024))[:2] == (413, "too_large")


def test_an_event_needs_a_name_and_a_day(api: Api, event_id: str) -> None:
    owner = api.login("photographer@example.com")
    cases = {
        "nothing": ({}, {"name", "date"}),
        "no day": ({"name": "Gala", "date": "31/12/2026"}, {"date"}),
        "no name": ({"name": " ", "date": "2026-12-31"}, {"name"}),
        "too long": ({"name": "x" * 121, "date": "2026-12-31"}, {"name"}),
        "unprintable": ({"name": NUL, "date": "2026-12-31"}, {"name"}),
    }
    for case, (body, fields) in cases.items():
        assert refusal(owner.post("/photographer/events", json=body))[0::2] == (422, fields), case


# --- tokens ---


@pytest.mark.usefixtures("event_id")
def test_tokens_that_are_none_are_refused(api: Api) -> None:
    guest = api.register("PARTY234")
    headers = {
        "none": None,
        "garbage": "Bearer garbage",
        "empty": "Bearer ",
        "parameters": "Bearer a=b",
        "not ASCII": "Bearer \xe9\xff",
        "basic": "Basic " + base64.b64encode(f"ada@example.com:{PASSWORD}".encode()).decode(),
        "cut": f"Bearer {guest.token[:-1]}",
        "a hash of it": "Bearer " + "0" * 64,
    }
    for name, value in headers.items():
        answer = api.app.test_client().get("/api/me", headers={"Authorization": value} if value else {})
        assert refusal(answer)[0] == 401, name
    assert guest.get("/me").status_code == 200


@pytest.mark.usefixtures("event_id")
def test_expired_signed_out_and_disabled_tokens_are_refused(api: Api) -> None:
    expired, gone, disabled = (api.register("PARTY234", name) for name in ("ada", "bob", "eve"))
    _change(
        api.app,
        "UPDATE user_session SET expires_at = '2020-01-01 00:00:00' WHERE user_id = "
        "(SELECT id FROM \"user\" WHERE username = 'ada')",
    )
    assert gone.post("/logout").status_code == 204
    _change(api.app, "UPDATE \"user\" SET disabled_at = '2026-01-01 00:00:00' WHERE username = 'eve'")
    for caller in (expired, gone, disabled):
        assert refusal(caller.get("/me"))[0] == 401
    wrong = api.post("/login", json={"username": "eve", "password": PASSWORD})
    assert refusal(wrong)[:2] == (401, "wrong_credentials")


@pytest.mark.usefixtures("event_id")
def test_wrong_password_and_unknown_name_get_the_same_answer(api: Api) -> None:
    api.register("PARTY234")
    answers = [
        api.post("/login", json={"username": name, "password": "not the password"})
        for name in ("ada", "ada@example.com", "nobody", "nobody@example.com")
    ]
    assert {(answer.status_code, answer.data) for answer in answers} == {(401, answers[0].data)}
    assert refusal(answers[0])[:2] == (401, "wrong_credentials")


# --- reading ---


def test_cursors_that_are_not_ours_are_refused(api: Api, world: World, event_id: str) -> None:
    guest, owner = api.register(world.code), api.login("photographer@example.com")
    garbage: list[Any] = [
        [],
        {},
        "x",
        None,
        [None, None],
        ["2026-01-01", 1],
        ["2026-01-01T00:00:00+00:00"],
        ["2026-01-01T00:00:00+00:00", "x"],
        ["2026-01-01T00:00:00+00:00", HUGE],
        ["0001-01-01T00:00:00+14:00", 1],
        ["never", 1],
        [True],
        [HUGE],
        ["1"],
        [[1]],
    ]
    cursors = ["x", "%", "====", "é", "MQ", *(_cursor(value) for value in garbage), _cursor("").replace("=", "")]
    cursors += [base64.urlsafe_b64encode(b"[" * 2000).decode(), base64.urlsafe_b64encode(b"\xff\xfe").decode()]
    lists: list[tuple[Api, str, dict[str, str]]] = [
        (guest, "/my-photos", {}),
        (guest, "/my-photos", {"band": "maybe"}),
        (guest, "/all-photos", {}),
        (owner, f"/photographer/events/{event_id}/photos", {}),
    ]
    for caller, path, query in lists:
        for cursor in cursors:
            answer = caller.get(path, query_string=query | {"cursor": cursor})
            assert refusal(answer) == (422, "cursor_invalid", {"cursor"}), (path, cursor)


def test_other_values_of_a_query_are_checked(api: Api, world: World, event_id: str) -> None:
    guest, owner = api.register(world.code), api.login("photographer@example.com")
    for limit in ("0", "-1", "501", "x", "1.5", str(HUGE)):
        assert refusal(guest.get(f"/my-photos?limit={limit}")) == (422, "invalid", {"limit"})
    assert refusal(guest.get("/my-photos?band=none"))[2] == {"band"}
    assert refusal(owner.get(f"/photographer/events/{event_id}/photos?status=lost")) == (
        422,
        "status_invalid",
        {"status"},
    )
    assert refusal(guest.get("/my-photos?event_id=nothing"))[:2] == (404, "not_found")
    assert refusal(guest.get("/photo/x?size=huge"))[0] in (404, 422)


def test_verdicts_are_yes_no_or_none(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    for verdict in ("yes", "", "CONFIRMED", None, 1, ["confirmed"]):
        assert refusal(guest.post("/matches/x", json={"verdict": verdict}))[0::2] == (422, {"verdict"})
    assert refusal(guest.post("/matches/x", json={"verdict": "confirmed"}))[:2] == (404, "match_unknown")


def test_the_sentences_come_in_the_readers_language(api: Api) -> None:
    body = {"username": "nobody", "password": "wrong password"}
    answer = api.app.test_client().post("/api/login", json=body, headers={"Accept-Language": "fr-FR,fr;q=0.9"})
    assert answer.json["code"] == "wrong_credentials"
    assert answer.json["detail"] != str(SENTENCES["wrong_credentials"])


@pytest.mark.usefixtures("event_id")
def test_nobody_makes_themselves_more_than_a_guest(api: Api) -> None:
    body = registration(role="admin", is_admin=True, user_type="attendee") | {"role": "admin"}
    assert api.post("/register-with-event-code", json=body).json["user"]["role"] == "guest"
    for kind in ("admin", "photographer", "owner", "ADMIN", ""):
        answer = api.post("/register-with-event-code", json=registration(username="Bob", user_type=kind))
        assert refusal(answer) == (422, "user_type_invalid", {"user_type"}), kind
    with api.app.app_context():
        assert {user.role for user in db.session.query(User).filter(User.username == "Ada")} == {UserRole.GUEST}
        assert db.session.query(UserSession).count() == 1
        assert db.session.query(Selfie).count() == 0


def _event(api: Api) -> str:
    (event,) = api.login("photographer@example.com").get("/photographer/events").json
    return str(event["id"])


def _cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _shape(answer: TestResponse) -> Any:
    """An answer without the values that differ from person to person."""
    body = dict(answer.json)
    body["user"] = sorted(body["user"])
    body["access_token"] = len(body["access_token"])
    return answer.status_code, body


def _change(app: Flask, statement: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_wrong_code_is_told_together_with_everything_else_that_is_wrong(api: Api, world: World) -> None:
    answer = api.post(
        "/register-with-event-code",
        json={"user_data": {"username": "", "email": "bad", "password": "x"}, "event_code": "nope"},
    )
    assert answer.status_code == 422
    assert set(answer.json["fields"]) == {"username", "email", "password", "event_code"}
