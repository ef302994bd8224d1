"""QR codes, and the poster with one that photographers print and hang up: one page of A4."""

import io
import logging
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import segno
from fpdf import FPDF
from fpdf.enums import Align
from fpdf.fonts import TTFFont

from webapp.settings import ROOT

FONTS = ROOT / "static" / "vendor" / "fonts"

FAMILIES = {
    "title": ("poster-title.woff", "poster-title-ext.woff"),
    "text": ("poster-text.woff", "poster-text-ext.woff"),
    "strong": ("poster-strong.woff", "poster-strong-ext.woff"),
    "rest": ("poster-rest.ttf",),
}
"""Each family's files: its Latin letters, then those of further languages. `rest` has what the others lack."""

WIDTH, HEIGHT, MARGIN = 210.0, 297.0, 18.0
QR_SIDE = 104.0
PAPER, INK, SOFT, WHITE = (255, 255, 255), (29, 27, 24), (87, 82, 74), (255, 255, 255)
UNKNOWN = "·"
"""Stands for a letter that none of the fonts has."""

# It warns of every character that a first font lacks, which is what the further ones are for.
logging.getLogger("fpdf").setLevel(logging.ERROR)
logging.getLogger("fontTools").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Words:
    """What the poster says besides the event's name and code, in the event's language."""

    title: str
    how: str
    otherwise: str
    facts: str


def qr_svg(link: str) -> bytes:
    """The link as a QR code for screens."""
    drawn = io.BytesIO()
    segno.make(link, error="m", micro=False).save(drawn, kind="svg", border=0, xmldecl=False, svgns=True)
    return drawn.getvalue()


def qr_png(link: str) -> bytes:
    """The link as a QR code to print: 24 pixels a module, with the quiet zone that readers need."""
    drawn = io.BytesIO()
    segno.make(link, error="m", micro=False).save(drawn, kind="png", scale=24, border=4)
    return drawn.getvalue()


def poster(name: str, code: str, link: str, words: Words, colour: str) -> bytes:
    """The poster as PDF. colour: #rrggbb, dark enough for white text.

    Whatever the event is called, it comes out: letters that no font has become a dot, and a long name becomes smaller.
    """
    page = _Page(colour)
    page.band(name, words.facts)
    page.code_of(link)
    page.instructions(words, code)
    return bytes(page.pdf.output())


class _Page:
    """One page of A4 being drawn, from top to bottom. Measures are millimetres."""

    def __init__(self, colour: str) -> None:
        self.pdf = FPDF(format="A4")
        self.pdf.set_auto_page_break(False)
        self.pdf.set_margin(0)
        self.accent = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
        self.families = _add_fonts(self.pdf)
        self.pdf.add_page()

    def band(self, name: str, facts: str) -> None:
        """The event's name, white on its colour."""
        self.pdf.set_fill_color(*self.accent)
        self.pdf.rect(0, 0, WIDTH, 96, style="F")
        size, lines = self._fitting(name, "title", largest=52, smallest=22, most_lines=2)
        height = size * 0.40
        top = 52 - height * len(lines) / 2
        for line in lines:
            self._line(line, "title", size, WHITE, top, height)
            top += height
        if facts:
            self._line(facts, "text", self._one_line(facts, "text", 15), WHITE, max(top + 3, 74), 8)

    def code_of(self, link: str) -> None:
        """The QR code, drawn in squares, so that it is sharp at every size."""
        rows = list(segno.make(link, error="m", micro=False).matrix)
        side = QR_SIDE / len(rows)
        left, top = (WIDTH - QR_SIDE) / 2, 112
        self.pdf.set_fill_color(*INK)
        for y, row in enumerate(rows):
            for x, dark in enumerate(row):
                if dark:
                    # A little larger than a module, since printers leave hairlines between neighbours.
                    self.pdf.rect(left + x * side, top + y * side, side + 0.03, side + 0.03, style="F")

    def instructions(self, words: Words, code: str) -> None:
        """What to do, and the code for those who have to type it."""
        self._line(words.title, "title", self._one_line(words.title, "title", 34), INK, 223, 13)
        _, lines = self._fitting(words.how, "text", largest=14, smallest=10, most_lines=3)
        top = 238.0
        for line in lines:
            self._line(line, "text", 14, SOFT, top, 6.5)
            top += 6.5
        otherwise = self._one_line(words.otherwise, "text", 11)
        self._line(words.otherwise, "text", otherwise, SOFT, 260, 6)
        self._line(code, "strong", self._one_line(code, "strong", 36, spacing=1.6), self.accent, 267, 16, spacing=1.6)

    def _line(
        self,
        text: str,
        family: str,
        size: float,
        colour: tuple[int, int, int],
        top: float,
        height: float,
        spacing: float = 0,
    ) -> None:
        self._use(family, size)
        self.pdf.set_text_color(*colour)
        self.pdf.set_char_spacing(spacing)
        self.pdf.set_xy(MARGIN, top)
        self.pdf.cell(WIDTH - 2 * MARGIN, height, self._known(text), align=Align.C)
        self.pdf.set_char_spacing(0)

    def _one_line(self, text: str, family: str, largest: float, spacing: float = 0) -> float:
        """The size in points, at most `largest`, in which the text fits one line."""
        self._use(family, largest)
        width = self.pdf.get_string_width(self._known(text)) + spacing * 0.36 * len(text)
        return min(largest, largest * (WIDTH - 2 * MARGIN) / width) if width else largest

    def _fitting(
        self, text: str, family: str, *, largest: float, smallest: float, most_lines: int
    ) -> tuple[float, list[str]]:
        """The largest size in which the text fits so many lines, and these; the last resort is one line, smaller."""
        size = largest
        while size >= smallest:
            lines = self._lines(text, family, size)
            if len(lines) <= most_lines:
                return size, lines
            size -= 2
        return self._one_line(text, family, smallest), [text]

    def _lines(self, text: str, family: str, size: float) -> list[str]:
        self._use(family, size)
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.pdf.get_string_width(self._known(longer)) <= WIDTH - 2 * MARGIN:
                lines[-1] = longer
            else:
                lines.append(word)
        too_wide = any(self.pdf.get_string_width(self._known(line)) > WIDTH - 2 * MARGIN for line in lines)
        return lines if not too_wide else [*lines, *[""] * 99]

    def _use(self, family: str, size: float) -> None:
        # A line with letters of a stand-in leaves that font chosen in the file: the next one has to choose anew.
        self.pdf.font_family = ""
        if family in self.families:
            self.pdf.set_font(family, size=size)
        else:
            self.pdf.set_font("helvetica", style="B" if family == "strong" else "", size=size)

    def _known(self, text: str) -> str:
        """The text without characters that can't be drawn."""
        if not self.families:
            return text.encode("latin-1", "replace").decode("latin-1")
        fonts = [font for font in self.pdf.fonts.values() if isinstance(font, TTFFont)]
        drawn = (
            char if char.isspace() or any(ord(char) in font.cmap for font in fonts) else _instead_of(char)
            for char in text
        )
        return " ".join("".join(drawn).split())


def _instead_of(char: str) -> str:
    """What is drawn for a character that no font has: nothing for an emoji or a part of one, else a dot."""
    return UNKNOWN if unicodedata.category(char)[0] in "LN" else ""


def _add_fonts(pdf: FPDF) -> set[str]:
    """Load the fonts that are there, those of further languages as stand-ins; returns the families that can be used."""
    found, further = set(), []
    for family, files in FAMILIES.items():
        for place, name in enumerate(files):
            path = FONTS / name
            if not path.is_file():
                continue
            own = family if place == 0 else f"{family}-{place}"
            pdf.add_font(own, fname=str(path))
            found.add(own)
            if place or family == "rest":
                further.append(own)
    if further:
        pdf.set_fallback_fonts(further, exact_match=False)
    return found


def font_files() -> list[Path]:
    """Every font that the poster is drawn with."""
    return [FONTS / name for files in FAMILIES.values() for name in files]
