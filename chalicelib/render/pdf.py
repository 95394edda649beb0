"""PDF: the page on paper, by WeasyPrint, which the extra ``holdfast[pdf]`` brings.

The same HTML; PDF/A-3u where the fonts of this machine allow it. Nothing is fetched.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any, Final

from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.render.embed import shown_text

VARIANT: Final = "pdf/a-3u"  # ISO 19005-3, level U: every character can be told
MAX_WORDS: Final = 300  # characters
_LIBRARIES: Final = "Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


def needed() -> None:
    """Return if a PDF can be made. Raises: ConfigError."""
    if importlib.util.find_spec("weasyprint") is None:
        raise ConfigError(
            "for a PDF WeasyPrint is needed, and it is not installed",
            next_step="pip install 'holdfast[pdf]'; or print the HTML in a browser",
        )
    _weasyprint()


def printed(page: str, *, identifier: str) -> bytes:
    """The page as a PDF. ``identifier``: of the document, hexadecimal; equal for equal pages.

    Raises: ConfigError, where a library that WeasyPrint needs is not there; UsageError, where the
    page names a file or an address.
    """
    library = _weasyprint()
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # it tells of CSS for screens
    alone = library.urls.URLFetcher(allowed_protocols={"data"}, fail_on_errors=True)
    document = library.HTML(string=page, url_fetcher=alone)
    try:
        found: bytes = document.write_pdf(
            pdf_variant=VARIANT, pdf_identifier=bytes.fromhex(identifier), pdf_tags=True
        )
    except library.urls.FatalURLFetchingError as error:  # of a template of a user's own
        raise UsageError(
            f"a report is in one file, and names no other: {shown_text(str(error), MAX_WORDS)}",
            next_step="put images and styles into the template; a data: address of them will do",
        ) from error
    return found


def _weasyprint() -> Any:
    try:
        import weasyprint  # noqa: PLC0415 - it loads Pango
    except OSError as error:
        raise ConfigError(
            f"WeasyPrint lacks a library of the system: {str(error).splitlines()[0]}",
            next_step=_LIBRARIES,
        ) from error
    return weasyprint
