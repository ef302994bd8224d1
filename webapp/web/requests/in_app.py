"""Apps that open links in a browser of their own, where a page often gets no camera: told by the user agent.

A user agent is a hint. Where it says nothing, static/js/selfie/in-app.js finds out that there is no camera.
"""

import re
from dataclasses import dataclass

_BROWSER = "Mozilla/5.0"
"""What browsers begin with. An app's name alone is a program that asks for a preview of the link."""

_APPS = (
    # "… Mobile/15E148 Instagram 315.0.0.29.109 (iPhone…", and the same on Android.
    ("Instagram", re.compile(r"\bInstagram \d")),
    # Threads: "… Barcelona 289.0.0.24.109 (iPhone…".
    ("Threads", re.compile(r"\bBarcelona \d")),
    # "[FBAN/MessengerForiOS;FBAV/…]", "[FB_IAB/Orca-Android;FBAV/…]", and newer ones "[FB_IAB/MESSENGER;…]".
    ("Messenger", re.compile(r"\bFBAN/Messenger|\bFB_IAB/(?:Orca|MESSENGER)", re.IGNORECASE)),
    # "[FBAN/FBIOS;FBAV/…]", "[FB_IAB/FB4A;FBAV/…]".
    # https://developers.facebook.com/docs/sharing/webmasters tells of its crawlers, which carry none of these.
    ("Facebook", re.compile(r"\b(?:FBAN|FBAV|FB_IAB)/")),
    # "… Mobile/15E148 WhatsApp/23.20.79"; "WhatsApp/2.23.20.0 A" alone asks for a preview.
    ("WhatsApp", re.compile(r"\bWhatsApp/\d")),
    # "… musical_ly_2023200040 JsSdk/2.0 … BytedanceWebview/d8a21c6", "… trill_320403 …" in parts of Asia.
    ("TikTok", re.compile(r"\b(?:musical_ly|trill)_\d|\bBytedanceWebview/|\bTikTok\b")),
    # "… Mobile/15E148 Snapchat/12.58.0.37 (like Safari/…".
    ("Snapchat", re.compile(r"\bSnapchat[/ ]\d")),
    # "… Safari Line/13.18.1", on Android "… Line/13.18.1/IAB". https://developers.line.biz/en/docs/liff/
    ("LINE", re.compile(r"\bLine/\d")),
    # "… MicroMessenger/8.0.42(0x18002a2e) NetType/WIFI Language/en". https://developers.weixin.qq.com/doc/
    ("WeChat", re.compile(r"\bMicroMessenger/\d")),
)
"""Names and what their browsers say, the more special ones first: Messenger carries Facebook's words as well."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page was opened."""

    app: str | None
    """The app whose own browser it is; None for what is, or seems to be, a browser."""
    on_android: bool


def app_of(user_agent: str) -> str | None:
    """The app in whose browser a page was opened; None for browsers, programs and what is not known."""
    if not user_agent.startswith(_BROWSER):
        return None
    return next((name for name, words in _APPS if words.search(user_agent)), None)


def place_of(user_agent: str) -> Place:
    """Where a page was opened, as its user agent says."""
    return Place(app_of(user_agent), "Android" in user_agent)


def chrome_link(address: str) -> str | None:
    """An address that opens ours in Chrome on Android; None where ours is not https, which its camera needs.

    https://developer.chrome.com/docs/android/intents
    """
    scheme, _, rest = address.partition("://")
    if scheme != "https" or "#" in rest:
        return None
    return f"intent://{rest}#Intent;scheme=https;package=com.android.chrome;end"
