"""Pages that are opened inside an app: they say how to open them in a browser, which gives them the camera."""

import html
import re
from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.actors import World
from webapp import create_app
from webapp.db.extensions import db
from webapp.settings import Settings
from webapp.web.requests import in_app

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
PIXEL = "Mozilla/5.0 (Linux; Android 14; Pixel 7 Build/UQ1A.240105.004; wv) AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = "Version/4.0 Chrome/120.0.6099.144 Mobile Safari/537.36"
INSTAGRAM = (
    f"{IPHONE} Mobile/15E148 Instagram 315.0.0.29.109 (iPhone14,5; iOS 17_1_2; en_GB; en; scale=3.00; 1170x2532)"
)
LINE_ON_ANDROID = f"{PIXEL} {CHROME} Line/13.21.1/IAB"

APPS = [
    ("Instagram", INSTAGRAM),
    (
        "Instagram",
        f"{PIXEL} {CHROME} Instagram 314.0.0.20.114 Android (34/14; 420dpi; 1080x2205; Google/google; Pixel 7)",
    ),
    ("Threads", f"{IPHONE} Mobile/21B101 Barcelona 289.0.0.24.109 (iPhone14,5; iOS 17_1_2; en_GB; en; scale=3.00)"),
    ("Facebook", f"{IPHONE} Mobile/21B101 [FBAN/FBIOS;FBAV/444.0.0.36.109;FBBV/548375184;FBDV/iPhone14,5;FBMD/iPhone]"),
    ("Facebook", f"{PIXEL} {CHROME} [FB_IAB/FB4A;FBAV/445.0.0.34.118;]"),
    ("Messenger", f"{IPHONE} Mobile/21B101 [FBAN/MessengerForiOS;FBAV/437.0.0.40.107;FBBV/544543711;FBDV/iPhone14,5]"),
    ("Messenger", f"{PIXEL} {CHROME} [FB_IAB/Orca-Android;FBAV/438.0.0.27.113;]"),
    ("Messenger", f"{PIXEL} {CHROME} [FB_IAB/MESSENGER;FBAV/470.0.0.21.109;]"),
    ("WhatsApp", f"{IPHONE} Mobile/15E148 WhatsApp/23.25.79"),
    (
        "TikTok",
        f"{IPHONE} Mobile/15E148 musical_ly_32.5.0 JsSdk/2.0 NetType/WIFI Channel/App Store BytedanceWebview/d8a21c6",
    ),
    ("TikTok", f"{PIXEL} {CHROME} trill_320403 JsSdk/1.0 NetType/4G AppName/trill app_version/32.4.3 ByteLocale/en"),
    ("Snapchat", f"{IPHONE} Mobile/15E148 Snapchat/12.63.0.46 (like Safari/8617.1.17.10.9, panda)"),
    ("Snapchat", f"{PIXEL} {CHROME} Snapchat/12.65.0.30 (Pixel 7; Android 14#11220180#34; gzip; )"),
    ("LINE", f"{IPHONE} Mobile/15E148 Safari Line/13.21.0"),
    ("LINE", LINE_ON_ANDROID),
    ("WeChat", f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.44(0x18002c2d) NetType/WIFI Language/en"),
    (
        "WeChat",
        f"{PIXEL} {CHROME} MMWEBID/4421 MicroMessenger/8.0.44.2502(0x28002C57) WeChat/arm64 Weixin NetType/WIFI",
    ),
]

BROWSERS = [
    f"{IPHONE} Version/17.1.2 Mobile/15E148 Safari/604.1",
    f"{IPHONE} CriOS/120.0.6099.119 Mobile/15E148 Safari/604.1",
    f"{IPHONE} FxiOS/121.0 Mobile/15E148 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Android 14; Mobile; rv:121.0) Gecko/121.0 Firefox/121.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    # Programs that ask for a link's preview.
    "WhatsApp/2.23.20.0 A",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "",
    "Instagram 1",
    "Mozilla/5.0 Online/3 Outline/7",
]


@pytest.mark.parametrize(("name", "user_agent"), APPS)
def test_apps_are_known_by_what_their_browsers_say(name: str, user_agent: str) -> None:
    assert in_app.place_of(user_agent) == in_app.Place(name, "Android" in user_agent)


@pytest.mark.parametrize("user_agent", BROWSERS)
def test_browsers_and_programs_are_no_apps(user_agent: str) -> None:
    assert in_app.app_of(user_agent) is None


@pytest.mark.parametrize("address", ["http://photos.example.com/e/PARTY234", "https://photos.example.com/e/A#Intent;x"])
def test_chrome_is_offered_only_for_addresses_of_https(address: str) -> None:
    assert in_app.chrome_link(address) is None


@pytest.fixture
def public(settings: Settings, world: World) -> Iterator[Flask]:
    world.event()
    app = create_app(settings.model_copy(update={"public_url": "https://photos.example.com"}))
    yield app
    with app.app_context():
        db.engine.dispose()


def landing(app: Flask, user_agent: str, query: str = "") -> str:
    answer = app.test_client().get(f"/e/PARTY234{query}", headers={"User-Agent": user_agent})
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def note(page: str) -> str:
    found = re.search(r'<div class="note in-app".*?</div>', page, re.DOTALL)
    assert found
    return found[0]


def test_a_page_inside_an_app_says_how_to_leave_it(public: Flask) -> None:
    shown = note(landing(public, INSTAGRAM))
    assert not re.match(r"<div[^>]* hidden", shown)
    assert "inside Instagram" in shown
    assert "Open in browser" in shown
    assert 'data-copy="https://photos.example.com/e/PARTY234"' in shown
    assert "intent:" not in shown, "iPhones know none"
    assert shown.count('cy="22"') == 3, "dots side by side"


def test_on_android_chrome_is_a_tap_away(public: Flask) -> None:
    shown = note(landing(public, LINE_ON_ANDROID))
    assert 'href="intent://photos.example.com/e/PARTY234#Intent;scheme=https;package=com.android.chrome;end"' in shown
    assert shown.count('cx="22"') == 3, "dots above each other"


def test_without_https_chrome_is_not_offered(app: Flask, world: World) -> None:
    world.event()
    shown = note(landing(app, LINE_ON_ANDROID))
    assert "intent:" not in shown
    assert 'data-copy="http://' in shown


@pytest.mark.parametrize("user_agent", BROWSERS[:7])
def test_in_a_browser_it_is_out_of_sight(public: Flask, user_agent: str) -> None:
    shown = note(landing(public, user_agent))
    assert re.match(r"<div[^>]* hidden>", shown)
    assert "inside" not in shown


def test_the_token_of_the_qr_code_goes_along_and_nothing_else(public: Flask) -> None:
    token = "abc\"'<script>#Intent;package=evil;end&x=1"
    page = landing(
        public, LINE_ON_ANDROID, "?t=abc%22'%3Cscript%3E%23Intent;package%3Devil;end%26x%3D1&next=//evil.example"
    )
    shown = note(page)
    assert "<script>" not in shown
    assert "evil.example" not in shown
    [link] = re.findall(r'href="(intent:[^"]*)"', shown)
    address, _, intent = html.unescape(link).partition("#")
    assert intent == "Intent;scheme=https;package=com.android.chrome;end"
    assert address.startswith("intent://photos.example.com/e/PARTY234?t=abc%22")
    assert token not in shown
    assert "?t=" not in note(landing(public, LINE_ON_ANDROID)), "no visitor is given a token that they did not bring"


def test_an_app_can_write_nothing_into_the_page(public: Flask) -> None:
    page = landing(public, f'{IPHONE} Instagram 1 "><script>alert(1)</script>')
    assert "alert(1)" not in page
