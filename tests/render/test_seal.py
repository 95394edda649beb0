"""The digest of what a page says; that a browser has the same is in test_browser."""

from __future__ import annotations

import hashlib

import pytest

from chalicelib.render import seal

LIVE = '<p id="verification" data-live>x</p>'


def page(body, look=""):
    main = f'<main data-text-sha256="">{body}{LIVE}</main>'
    html = "<html lang=en data-verified=no>"
    return f"<!doctype html>{html}<head>{look}</head> <body>\n{main}</body>\n</html>"


def test_what_is_hashed_is_what_is_written_down():
    look = "<style>a > b {}</style>\n<script>c < d</script>"
    body = '<a HREF="&amp;" class=x hidden>&lt;&#39;\r\n</a><!-- no --><br>'
    body += '<svg viewBox="0"><rect/></svg>'
    expected = (
        "\0<html\0lang\0en\0>\0<head\0>\0<style\0>a > b {}\0/\0<script\0>c < d\0/\0/\0<body\0>"
        "\0<main\0>"
        "\0<a\0class\0x\0hidden\0\0href\0&\0><'\n\0/"
        "\0<br\0>\0/"
        "\0<svg\0viewbox\x000\0>\0<rect\0>\0/\0/"
        "\0<p\0data-live\0\0id\0verification\0>\0/"
        "\0/\0/\0/"
    )
    assert seal.digest(page(body, look)) == hashlib.sha256(expected.encode()).hexdigest()


def test_the_digest_takes_the_empty_place():
    made = seal.sealed(page("<p>x</p>"))
    assert f'<main data-text-sha256="{seal.digest(made)}">' in made
    assert seal.digest(made) == seal.digest(page("<p>x</p>"))
    with pytest.raises(ValueError, match="this one has 0"):
        seal.sealed(made)
    with pytest.raises(ValueError, match="this one has 2"):
        seal.sealed(page('<p data-text-sha256="">x</p>'))


def test_what_is_live_and_what_is_no_text_is_not_in_it():
    plain = seal.digest(page("<p>x</p>"))
    assert plain == seal.digest(page("<p>x<!-- y --></p>"))
    assert plain == seal.digest(page("<p>x</p>").replace(">x</p></main>", ">y<b>z</b></p></main>"))
    assert plain == seal.digest(page("<p>x</p>").replace("data-verified=no", "data-verified=yes"))
    closed, opened = "<details>x</details>", "<details open>x</details>"
    assert seal.digest(page(closed)) == seal.digest(page(opened))
    others = (
        "<p>y</p>",
        "<p>x </p>",
        "<p>x</p> ",
        "<p lang=x>x</p>",
        "<b>x</b>",
        "<p><b>x</b></p>",
    )
    assert len({plain, *map(seal.digest, map(page, others))}) == len(others) + 1
    looks = ("<title>t</title>", "<style>b {}</style>", "<base href=x>", "<script>x</script>")
    frames = [page("<p>x</p>", one) for one in looks]
    others = ("<body dir=rtl>", "<body><p></p>")
    frames += [page("<p>x</p>").replace("<body>", one) for one in others]
    assert len({plain, *map(seal.digest, frames)}) == len(frames) + 1


def test_the_first_line_break_of_preformatted_text_is_not_in_the_tree():
    assert seal.digest(page("<pre>\nx</pre>")) == seal.digest(page("<pre>x</pre>"))
    assert seal.digest(page("<pre>\r\nx</pre>")) == seal.digest(page("<pre>x</pre>"))
    others = ("<pre>\n\nx</pre>", "<pre><!-- -->\nx</pre>", "<pre></pre>\n", "<pre><b></b>\n</pre>")
    found = [seal.digest(page(one)) for one in others]
    without = [seal.digest(page(one.replace("\n", "", 1))) for one in others]
    assert [one == two for one, two in zip(found, without, strict=True)] == [False] * 4


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<b>x", "</main> closes"),
        ("<div><b></div></b>", "</div> closes"),
        ("</b>", "</b> closes"),
        ("<div/>", "not closed by its slash"),
        ("<table><tr><td>x</td></tr></table>", "<tr> in <table>"),
        ("<table><tbody><td>x</td></tbody></table>", "<td> in <tbody>"),
        ("<table><tbody>x</tbody></table>", "text in <tbody>"),
        ("<table>&amp;</table>", "text in <table>"),
        ("<table><p>x</p></table>", "<p> in <table>"),
        ("<p><ul></ul></p>", "<ul> in a <p>"),
        ("<a href=x><b><a>y</a></b></a>", "in an <a>"),
        ("<noscript>x</noscript>", "<noscript>"),
        ("<svg><p>x</p></svg>", "<p> in an <svg>"),
        ("<b id=x id=y>x</b>", "twice"),
        ('<b title="a&b">x</b>', "&"),
        ('<b title="&#1;">x</b>', "&"),
        ("a & b", "&"),
        ("AT&T", "&T; is no character"),
        ("&nosuch;", "is no character"),
        ("&#0;", "no character that HTML has"),
        ("&#x80;", "no character that HTML has"),
        ("&#xD800;", "no character that HTML has"),
        ("&#xFFFF;", "no character that HTML has"),
        ("&#x110000;", "no character that HTML has"),
        ("<![CDATA[x]]>", "<!["),
        ("<?xml x?>", "<?"),
        ("<!-- x -- >-->", "comment"),
        ("a\0b", "NUL"),
        ("<p data-live>x</p>", "nothing else live"),
        ("</main><main>", "one <main>"),
    ],
)
def test_what_a_browser_would_read_in_another_way_is_refused(body, words):
    with pytest.raises(ValueError, match=r"page") as caught:
        seal.digest(page(body))
    assert words in str(caught.value)


@pytest.mark.parametrize("old", ["<!doctype html>", "<head></head>", "<body>", "doctype html"])
def test_a_page_without_its_frame_is_refused(old):
    text = page("x").replace(old, "doctype x" if old[0] == "d" else "", 1)
    with pytest.raises(ValueError, match=r"expected|<main> in|closes|doctype"):
        seal.digest(text)


def test_what_is_open_at_the_end_is_refused():
    with pytest.raises(ValueError, match="<html> is open at its end"):
        seal.digest(page("x").removesuffix("</html>"))
