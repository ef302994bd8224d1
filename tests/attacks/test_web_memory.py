"""Six bombs of each kind at once at one web process of a running product: it grows by less than 100 MB and lives on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.attacks import bombs
from tests.attacks.test_bomb_bodies import JSON, MULTIPART, REFUSED, TAKEN
from tests.attacks.test_bombs import METADATA
from tests.attacks.web_processes import AT_ONCE, Visitor, growth
from tests.support.product import Client, Product, photographer, register, running

pytestmark = [pytest.mark.slow]

MOST_GROWTH = 100
COSTLIEST = ("many large fields", "many headers of many parts", "urlencoded fields", "many large files")
COVER_SIDE = 4890
"""Of a square of 23.9 megapixels, which is as much as is decoded of a cover."""


@dataclass
class Place:
    """A running product with one web process, an event, and who comes to it."""

    product: Product
    owner: Client
    event_id: str
    code: str
    guests: list[Client]
    strangers: list[Visitor]
    studios: list[Visitor]

    def api(self, path: str, caller: Client | None, **kwargs: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {caller.token}"} if caller else {}
        headers |= kwargs.pop("headers", {})  # type: ignore[call-overload]
        return requests.post(f"{self.product.url}/api{path}", headers=headers, timeout=120, **kwargs)  # type: ignore[arg-type]

    def ways(self) -> dict[str, Callable[..., requests.Response]]:
        """Every way in for files and forms, by the number of the sender and what `requests` is told to send."""
        studio = f"/studio/events/{self.event_id}"
        return {
            "join": lambda number, **sent: self.strangers[number].post(f"/e/{self.code}", **sent),
            "selfie": lambda number, **sent: self.api("/upload-selfie", self.guests[number], **sent),
            "precheck": lambda number, **sent: self.api("/validate-selfie", None, **sent),
            "photos": lambda number, **sent: self.studios[number].post(f"{studio}/photos", **sent),
            "api": lambda number, **sent: self.api(
                f"/photographer/events/{self.event_id}/upload-photos", self.owner, **sent
            ),
        }

    def check(self, send: Callable[[int], requests.Response]) -> None:
        found = growth(self.product, send)
        assert max(found.statuses) < 500
        assert found.megabytes < MOST_GROWTH


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("bombs") / "data"
    with running(folder, WORKERS="1", MATCHING_PROCESSES="1") as product:
        owner = photographer(product)
        event = owner.post("/photographer/events", json={"name": "Party", "date": "2026-06-20"})
        yield Place(
            product,
            owner,
            event["id"],
            event["code"],
            [register(product, event["code"], f"guest{number}") for number in range(AT_ONCE)],
            [Visitor(product.url).see(f"/e/{event['code']}") for _ in range(AT_ONCE)],
            [Visitor(product.url).sign_in("photographer@example.com") for _ in range(AT_ONCE)],
        )


@pytest.mark.parametrize("way", ["join", "selfie", "photos", "api"])
def test_pictures_by_every_way_in(here: Place, way: str) -> None:
    send = here.ways()[way]
    pictures = [(bombs.named(name), bombs.decoding_large(name, bombs.UNDER)) for name in bombs.FORMATS]
    pictures += [(bombs.named(name), bombs.promising(name)) for name in bombs.FORMATS]
    pictures += [("metadata.bin", METADATA[name]()) for name in ("EXIF of fractions", "texts that are packed")]
    field = "files" if way in ("photos", "api") else "file"
    for name, content in pictures:
        here.check(lambda number, name=name, content=content: send(number, files={field: (name, content)}))  # type: ignore[misc]


@pytest.mark.parametrize("file_format", ["WEBP"])
def test_covers(here: Place, file_format: str) -> None:
    """Decoded while somebody waits, but not in the web process."""
    path, content = f"/studio/events/{here.event_id}/settings/cover", bombs.decoding_large(file_format, COVER_SIDE)
    here.check(lambda number: here.studios[number].post(path, files={"file": (bombs.named(file_format), content)}))


@pytest.mark.parametrize("name", COSTLIEST)
def test_forms_by_every_way_in(here: Place, name: str) -> None:
    kind, make = REFUSED.get(name) or (MULTIPART, TAKEN[name])
    body = make()
    for send in here.ways().values():
        here.check(lambda number, send=send: send(number, data=body, headers={"Content-Type": kind}))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["deep lists", "small objects", "small objects within the limit"])
def test_json(here: Place, name: str) -> None:
    headers = {"Content-Type": "application/json"}
    here.check(lambda number: here.api("/login", None, data=JSON[name], headers=headers))
