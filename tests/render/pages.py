"""A thin page that verifies itself: the least that a template has to have. Not the report's own."""

from __future__ import annotations

import io
from html import escape
from pathlib import Path

from evidence.parcel import ANA, DAY, NOW, ORIGIN, A, Archive, B, at, believing
from evidence.test_build import scan, tick

from chalicelib.evidence import verified
from chalicelib.kernel.record import Draft
from chalicelib.render import embed, seal

HOSTILE = {
    "markup": "</script><!-- <script>alert(1)</script> &amp; <b title='\"'>x</b> ]]> {{ 7*7 }}",
    "turned": "a\u202eb\u2066c\u2069\u200fd",
    "emoji": "\U0001f469\u200d\U0001f4bb \u2764\ufe0f \U0001f3f4\U000e0067\U000e007f",
    "nul": "a\0b",
    "breaks": "\r\nfirst\n\r second\r\r\n\t",
    "spaces": "  two  spaces \u00a0 ",
    "separators": "a\u2028b\u2029c\ufeff\u0085d",
    "long": "\u00e4\U0001f600" * 5_000,
    "backslash": "\\u{202e} \\n \\",
    "composed": "e\u0301 \u00e9 \ufb01",
    "empty": "",
}
VALUES = {
    "whole": 9007199254740991,
    "negative": -1,
    "fraction": 0.1,
    "tiny": 1e-7,
    "large": 1e21,
    "true": True,
    "null": None,
    "list": [1, "a\u202e", {"b": None}],
    "object": {
        "\ufb33": 1,
        "\U0001f600": 2,
        "b": [],
        "10": {},
        "9": 1,
        "__proto__": {"x": "\u007f"},
    },
    "sealed": {"personal": {"data": "c2VjcmV0"}},
    "a/b": {"~c": "found"},
}


def pointer(*steps):
    """The JSON pointer of a place in a record (RFC 6901)."""
    return "".join(f"/{str(one).replace('~', '~0').replace('/', '~1')}" for one in steps)


def script():
    """The program that verifies a page."""
    return (Path(__file__).parents[2] / "reports" / embed.SCRIPT).read_text(encoding="utf-8")


def told(archive, more=(), *, apart=70_000):
    """A day with hostile text (7), other values (8), a body kept apart (9), and more (from 22)."""
    archive.write(("log", "log.opened", at(1), {"origin": ORIGIN}))  # 0
    archive.write(tick(12, 1, due=[A, B], previous=None), scan(A, 12, 1), scan(B, 12, 1))  # 1
    archive.write(tick(0, due_at=1, previous=1), scan(A, 0), scan(B, 0))  # 4
    archive.write((A, "finding.opened", at(2, 0, 2), {"severity": "high", **HOSTILE}))  # 7
    archive.write((A, "finding.opened", at(2, 0, 3), VALUES))  # 8
    archive.write((B, "finding.opened", at(2, 0, 4), {"large": "x" * apart, "severity": "low"}))
    archive.log.append([Draft("finding.closed", A, at(2, 1, n), ANA, {"n": n}) for n in range(9)])
    archive.write(tick(12, due_at=1, previous=4), scan(A, 12), scan(B, 12))
    if more:
        archive.log.append([Draft("finding.opened", A, at(2, 13), ANA, body) for body in more])
    archive.write(tick(0, 3, due_at=1, previous=19))
    return archive


def read(archive, data=None):
    """The packet of the archive's day, verified."""
    data = archive.packet(DAY) if data is None else data
    return verified.read(io.BytesIO(data), archive.policy, now=NOW, checker=believing)


def figures():
    """Places whose values a page shows: of hostile text, of other values, of a body apart."""
    yield from ((7, pointer("body", name), None) for name in HOSTILE)
    yield from ((8, pointer("body", name), None) for name in VALUES)
    yield from ((7, "/body/long", cut) for cut in (1, 9_999, 10_000))
    yield from ((7, "/body/breaks", 3), (7, "/body/turned", 2), (8, "/body/list/2/b", None))
    yield from ((8, "/body/a~1b/~0c", None), (9, "/body/severity", None), (9, "/body/large", 20))
    yield from ((9, "#index", None), (9, "#hash", None), (9, "/actor/name", None), (9, "", 40))


def cell(figures, leaf, where, cut=None):
    """A figure, as a template writes it."""
    text = figures.says(leaf, where, cut)
    assert text is not None, (leaf, where)
    is_cut = "" if cut is None else f' data-cut="{cut}"'
    return f'<a href="#r" data-leaf="{leaf}" data-at="{escape(where)}"{is_cut}>{escape(text)}</a>'


def main(found, cells, more=""):
    """The report itself: text of every sort that a browser may read in another way."""
    rows = "".join(f"<tr><td>{one}</td></tr>\n" for one in cells)
    names = escape(embed.visible("".join(HOSTILE.values())))
    return f"""<main data-text-sha256="">
<h1>Report &amp; so on</h1>
<p class="verdict">VERIFIED: <b id="count">{len(cells)}</b> figures &lt; 1000&nbsp;&#39;x&#39;</p>
<div id="verification" data-live role="status">Verify the <b>packet</b> with holdfast.</div>
<!-- no part of it -->
<table><caption>Figures</caption>
<thead><tr><th>Figure</th></tr></thead><tbody>
{rows}</tbody></table>
<pre>
\n{names}</pre><pre>{names}</pre>
<details><summary>More</summary><p title="{names}">Hidden until it is opened.<br></p></details>
<svg viewBox="0 0 10 10" role="img"><title>Bars</title><linearGradient id="g"/>
<rect id="bar" x="1" width="5" height="3"></rect><text x="1" y="2">{names}</text></svg>
<p data-leaf="{found.records[0][0]}">A record.</p>{more}
</main>"""


def page(held, shown, places=None, more="", **options):
    """The page of a verified packet that shows these records."""
    found = embed.embedded(held, shown, **options)
    says = embed.Figures(found)
    cells = [cell(says, *place) for place in (figures() if places is None else places)]
    program = script()
    return seal.sealed(f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(embed.policy(program))}">
<title>Report</title>
<style data-sealed>main > p {{ color: #222 }} /* & */</style></head>
<body><header>Holdfast</header>
{main(found, cells, more)}
<script type="application/json" id="evidence">{embed.script_text(found)}</script>
<script>{program}</script>
</body></html>
""")


__all__ = ["Archive", "cell", "figures", "page", "read", "told"]
