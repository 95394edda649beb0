r"""Seal: a digest over what a page says, which the page carries and its program compares.

It is over ``<html>`` with all that is in it: a style or an element anywhere can hide what <main>
says, or cover it. Each element gives NUL ``<`` its name; NUL name NUL value of each attribute, by
name; NUL ``>``; its text and elements in their order; NUL ``/``. Names are in lower case;
``data-text-sha256`` is no attribute, nor is ``data-verified`` of ``<html>``, nor ``open`` of
``<details>``, which a reader changes; comments are nothing, nor is white space between the elements
of ``<html>``, ``<head>`` and ``<body>``; an element with ``data-live`` has no content. SHA-256,
over UTF-8.

What a browser would make another tree of than stands there is refused: elements that are not
closed where they were opened, rows without their ``tbody``, references without a semicolon.
"""

from __future__ import annotations

import hashlib
import html.entities
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final, Never

if TYPE_CHECKING:
    from collections.abc import Sequence

ATTRIBUTE: Final = "data-text-sha256"
_LEFT_OUT: Final = {"html": {ATTRIBUTE, "data-verified"}, "details": {ATTRIBUTE, "open"}}
LIVE: Final = "verification"  # the one element with data-live: where the answer is written

_EMPTY: Final = f'{ATTRIBUTE}=""'
_VOID: Final = frozenset(
    "area base br col embed hr img input link meta source track wbr".split()  # noqa: SIM905
)
# Parsed by other rules, in a document of their own, or otherwise where programs run.
_REFUSED: Final = frozenset(
    "frame frameset iframe listing math noembed noframes noscript object plaintext select "  # noqa: SIM905
    "template textarea xmp".split()
)
# HTML, "The rules for parsing tokens in HTML content": what closes a <p> that is open.
_BLOCKS: Final = frozenset(
    "address article aside blockquote details dialog div dl fieldset figcaption figure footer "  # noqa: SIM905
    "form h1 h2 h3 h4 h5 h6 header hgroup hr main menu nav ol p pre search section summary table "
    "ul".split()
)
_PARENTS: Final = {
    "tr": {"tbody", "thead", "tfoot"},
    "td": {"tr"},
    "th": {"tr"},
    "tbody": {"table"},
    "thead": {"table"},
    "tfoot": {"table"},
    "caption": {"table"},
    "colgroup": {"table"},
    "col": {"colgroup"},
}
_TABLE: Final = frozenset({"table", "tbody", "thead", "tfoot", "tr", "colgroup"})
_FRAME: Final = ("html", "head", "body")
_IN_HEAD: Final = frozenset({"base", "link", "meta", "script", "style", "title"})
_REFERENCE: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|nbsp|#34|#39|#x27);)")
# Ends of comments that not every parser takes for one.
_COMMENT: Final = re.compile(r"--(?:\s+|!)>|<!--?-?>")
_BLANK: Final = " \t\n\f"
_CHARACTERS: Final = range(0x20, 0x110000)


def sealed(page: str) -> str:
    """The page with its digest, in place of the empty ``data-text-sha256`` of its ``<main>``.

    Raises: ValueError, where it has no such place, or is not what a browser would make of it.
    """
    if page.count(_EMPTY) != 1:
        raise ValueError(f"a page has one {_EMPTY}; this one has {page.count(_EMPTY)}")
    return page.replace(_EMPTY, f'{ATTRIBUTE}="{digest(page)}"')


def digest(page: str) -> str:
    """The digest over a page, in hexadecimal. Raises: as :func:`sealed`."""
    if "\0" in page:
        raise ValueError("no page has a NUL in it; every text is to be made visible")
    if _COMMENT.search(page):
        raise ValueError("the page has a comment that ends otherwise than with -->")
    reader = _Reader()
    reader.feed(page.replace("\r\n", "\n").replace("\r", "\n"))  # HTML, "Preprocessing the input"
    reader.close()
    return reader.digest()


class _Reader(HTMLParser):
    """What a browser's tree of a page says."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._open: list[str] = []
        self._hash = hashlib.sha256()
        self._main = 0  # how many there were
        self._live = 0
        self._is_html = False
        self._frame: list[str] = []  # of _FRAME, which there were
        self._mute = 0  # depth of the element that is live; 0: none
        self._is_first = False  # of a <pre>: its first line break is not in the tree

    def digest(self) -> str:
        if self._open:
            self._odd(f"<{self._open[-1]}> is open at its end")
        if tuple(self._frame) != _FRAME or not self._is_html:
            self._odd("expected <!doctype html>, <html>, and in it <head> and <body>")
        if self._main != 1 or self._live != 1:
            self._odd(f"expected one <main> and one #{LIVE} with data-live, and nothing else live")
        return self._hash.hexdigest()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check(tag, attrs)
        depth = len(self._open) + 1
        told = {name: value or "" for name, value in attrs}
        self._main += tag == "main"
        self._put("\0<", tag)
        for name, value in sorted(told.items()):
            if name not in _LEFT_OUT.get(tag, {ATTRIBUTE}):
                self._put("\0", name, "\0", value)
        self._put("\0>")
        self._open.append(tag)
        if "data-live" in told and not self._mute:
            self._live += 1 if told.get("id") == LIVE else 2
            self._mute = depth
        if tag in _VOID:
            self._close()
        self._is_first = tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID and "svg" not in self._open and tag != "svg":
            self._odd(f"<{tag}/> is not closed by its slash")
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._close()

    def handle_endtag(self, tag: str) -> None:
        if self._open[-1:] != [tag]:
            self._odd(f"</{tag}> closes {self._open[-1:]}")
        self._is_first = False
        self._close()

    def handle_data(self, data: str) -> None:
        within = self._open[-1] if self._open else ""
        if self._is_first and data.startswith("\n"):
            data = data[1:]
        self._is_first = False
        if within in {"", *_FRAME}:
            if data.strip(_BLANK):
                self._odd("text that is in no element of <head> or <body>")
            return
        if within in _TABLE and data.strip(_BLANK):
            self._odd(f"text in <{within}>, which a browser puts before the table")
        if "&" in data and within not in {"script", "style"}:
            self._odd("an & that begins no reference")
        self._put(data)

    def handle_entityref(self, name: str) -> None:
        found = html.entities.html5.get(f"{name};")
        if found is None:
            self._odd(f"&{name}; is no character")
        self._reference(found)

    def handle_charref(self, name: str) -> None:
        code = int(name[1:], 16) if name[:1] in {"x", "X"} else int(name)
        is_odd = 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - C1, surrogates
        if code not in _CHARACTERS or is_odd or code & 0xFFFE == 0xFFFE:  # noqa: PLR2004
            self._odd(f"&#{name}; is no character that HTML has")
        self._reference(chr(code))

    def handle_comment(self, data: str) -> None:  # noqa: ARG002 - it is not in the digest
        self._is_first = False

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html" or self._frame:
            self._odd(f"<!{decl[:20]}>; expected <!doctype html>, first")
        self._is_html = True

    def unknown_decl(self, data: str) -> None:
        self._odd(f"<![{data[:20]}")

    def handle_pi(self, data: str) -> None:
        self._odd(f"<?{data[:20]}")

    def _reference(self, text: str) -> None:
        self._is_first = False
        within = self._open[-1] if self._open else ""
        if within in _TABLE or within in {"", *_FRAME}:
            self._odd(f"text in <{within}>, which a browser puts elsewhere")
        self._put(text)

    def _check(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        parent = self._open[-1] if self._open else ""
        self._place(tag, parent)
        if tag in _REFUSED:
            self._odd(f"<{tag}> is not for a page like this")
        if len({name for name, _ in attrs}) != len(attrs):
            self._odd(f"<{tag}> has one attribute twice")
        if _REFERENCE.search(self.get_starttag_text() or ""):
            self._odd(f"<{tag}> has an & that begins no reference, or none of the usual ones")
        if "svg" in self._open:
            if tag in {"style", "script", "foreignobject", *_BLOCKS}:
                self._odd(f"<{tag}> in an <svg>, where other rules hold")
            return
        if parent not in _PARENTS.get(tag, {parent}) or (parent in _TABLE and tag not in _PARENTS):
            self._odd(f"<{tag}> in <{parent}>")
        if (tag in _BLOCKS and "p" in self._open) or (tag == "a" and "a" in self._open):
            self._odd(f"<{tag}> in a <p>, or in an <a>, which it would close")

    def _place(self, tag: str, parent: str) -> None:
        """Whether a browser leaves the element where it stands."""
        if tag in _FRAME:
            self._frame.append(tag)
        expected = {"html": "", "head": "html", "body": "html"}.get(tag)
        is_astray = parent in {"", "html"} if expected is None else parent != expected
        if is_astray or (parent == "head" and tag not in _IN_HEAD):
            self._odd(f"<{tag}> in <{parent}>")

    def _close(self) -> None:
        depth = len(self._open)
        if depth == self._mute:
            self._mute = 0
        self._put("\0/")
        self._open.pop()

    def _put(self, *parts: str) -> None:
        if not self._mute:
            self._hash.update("".join(parts).encode())

    def _odd(self, words: str) -> Never:
        line, column = self.getpos()
        raise ValueError(f"the page, line {line}, column {column}: {words}")
