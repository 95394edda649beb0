"""Wire: what the WSGI server says before any application is asked, said as the API says it.

Also what it would let pass: a request whose end another server may see elsewhere.
"""

from __future__ import annotations

import re
import secrets
import time
from http import HTTPStatus
from typing import Final

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask

from chalicelib.http import problem
from chalicelib.http.problem import Refused
from chalicelib.http.server import REQUEST_SECONDS

HEAD_SECONDS: Final = 10  # for the head of a request, from where it could begin
# By the status that the server has for it. What it says is left out: it repeats what was sent.
_TOLD: Final = {
    413: Refused(413, "too_large", "the body is larger than any that is taken"),
    431: Refused(431, "too_large", "the headers are larger than any that are taken"),
    500: Refused(500, "defect", "a defect in Holdfast"),
}
_MALFORMED: Final = Refused(400, "malformed", "this is no request that can be read in one way")
# Every line of that name, with what it says.
_CHUNKED: Final = re.compile(rb"(?im)^transfer-encoding:[ \t]*([^\r\n]*?)[ \t]*\r?$")


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # untyped
    def parse_header(self, header_plus: bytes) -> None:
        """Parse what stands before the body. Raises: ParsingError, which is answered with 400.

        Where the length is said twice, or its encoding in other words, a proxy in front of this
        server may see the body end elsewhere, and another request in what follows. Source: RFC
        9112 §6.1 and §11.2.
        """
        super().parse_header(header_plus)
        if self.chunked and (
            "CONTENT_LENGTH" in self.headers or _CHUNKED.findall(header_plus) != [b"chunked"]
        ):
            raise ParsingError("two lengths")


class _ProblemTask(ErrorTask):  # type: ignore[misc]  # untyped
    def execute(self) -> None:
        """Answer with a problem, and close: nobody can tell where the next request begins."""
        refused = _TOLD.get(self.request.error.code, _MALFORMED)
        headers, body = problem.answer(refused, secrets.token_hex(16))
        self.status = f"{refused.status} {HTTPStatus(refused.status).phrase}"
        self.response_headers.extend(headers.items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]  # untyped
    """A connection of waitress, which ends where a request on it takes too long to arrive.

    waitress ends one that was silent for ``REQUEST_SECONDS``; whoever says a byte now and then
    would keep theirs, and nobody else gets one where all are taken.
    """

    parser_class = _Parser
    error_task_class = _ProblemTask
    monotonic = staticmethod(time.monotonic)
    _since: float | None = None  # when the request that is waited for could begin

    def service(self) -> None:
        """Answer what has arrived, in a thread for it; the next request's time begins."""
        self._since = self.monotonic()
        super().service()

    def readable(self) -> bool:
        """Whether more is to be read; asked about each second (waitress, asyncore_loop_timeout)."""
        now = self.monotonic()
        if self._since is None or self.requests or self.total_outbufs_len:
            self._since = now
        begun = self.request is not None and self.request.headers_finished
        if now - self._since >= (REQUEST_SECONDS if begun else HEAD_SECONDS):
            self.will_close = True
        return bool(super().readable())
