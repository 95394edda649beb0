"""Asked: a request as its event has it, converted to what its route takes, within bounds."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.api.routes import PARTS
from chalicelib.http.problem import Refused
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.api.routes import Route

MAX_BODY_BYTES: Final = 64 * 2**10
MAX_QUERY_CHARACTERS: Final = 8_192
JSON: Final = "application/json"
IAM_PREFIX: Final = "/iam"
_ONCE: Final = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_TAG: Final = re.compile(r'((?:W/)?)"([!#-~]{0,128})"')


class Asked:
    """A request, as its event has it. Source: API Gateway, "Input format of a Lambda function"."""

    def __init__(self, route: Route, event: Mapping[str, Any]) -> None:
        self.route = route
        self._event = event
        context = event.get("requestContext") or {}
        identity = context.get("identity") or {}
        said = str(context.get("requestId") or "")
        self.id = said if _REQUEST_ID.fullmatch(said) else secrets.token_hex(16)
        self.iam = str(context.get("resourcePath") or "").startswith(f"{IAM_PREFIX}/")
        self.arn = str(identity.get("userArn") or "") if self.iam else ""
        self.address = f"address {str(identity.get('sourceIp') or '')[:64]}"
        shown = str(context.get("path") or "")
        at = shown.find("/iam/v1/" if self.iam else "/v1/")
        self.stage = shown[:at] if at > 0 and _REQUEST_ID.fullmatch(shown[1:at]) else ""
        self.headers: dict[str, list[str]] = {}
        for name, values in (event.get("multiValueHeaders") or {}).items():
            self.headers.setdefault(str(name).lower(), []).extend(map(str, values))

    def check_headers(self) -> None:
        """Return if no header that decides anything is there twice. Raises: Refused."""
        for name in _ONCE:
            if len(self.headers.get(name, ())) > 1:
                raise Refused(400, "malformed", f"the header {name} is there twice")

    def header(self, name: str) -> str:
        """A header, or nothing."""
        return next(iter(self.headers.get(name, ())), "")

    @property
    def token(self) -> str:
        """The bearer token. Raises: Unauthenticated."""
        scheme, _, token = self.header("authorization").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(
                "the request has no bearer token", next_step="Authorization: Bearer TOKEN"
            )
        return token.strip()

    def tags(self, name: str) -> tuple[str, ...]:
        """The entity tags of a header, without quotes; ``*`` is any. Raises: Refused.

        A weak one keeps its ``W/`` where tags are compared strongly, and so is nobody's.
        Source: RFC 9110 §13.1.1 (If-Match: strongly) and §13.1.2 (If-None-Match: weakly).
        """
        if name not in self.headers:
            return ()
        said = self.header(name).strip()
        if said == "*":
            return (said,)
        found = [_TAG.fullmatch(one.strip()) for one in said.split(",")]
        if not all(found):
            raise Refused(400, "malformed", f"{name} has entity tags in double quotes")
        strong = name == "if-match"
        tags = [(one[1] if strong else "") + one[2] for one in found if one]
        return tuple(one for one in tags if one != "*") or ("",)  # a quoted star is a tag

    def parse(self) -> tuple[dict[str, Any], Any, bytes]:
        """The values of the path, what is asked, and the body's bytes. Raises: Refused."""
        content = self._body()
        query = self._query()
        if self.route.method == "GET":
            if content:
                raise Refused(400, "malformed", "a GET has no body")
            return self._path(), self._wanted(query), b""
        if query:
            raise Refused(422, "invalid", "a POST has no query")
        media = self.header("content-type").partition(";")[0].strip().lower()
        if media != JSON:
            raise Refused(415, "unsupported_media_type", f"the body is to be {JSON}")
        try:
            value = canon.parse(content)
            canon.encode(value)  # no half of a surrogate pair, no number beyond what JSON can say
        except (Malformed, ValueError) as error:
            raise Refused(400, "malformed", f"the body cannot be read: {_reason(error)}") from None
        return self._path(), self._convert(value, strict=True), content

    def _path(self) -> dict[str, Any]:
        given = self._event.get("pathParameters") or {}
        found = {}
        for name in self.route.braces:
            text = urllib.parse.unquote(str(given.get(name) or ""))  # once, as a path is read
            try:
                found[name] = msgspec.convert(text, PARTS[name], strict=False)
            except msgspec.ValidationError:
                found[name] = None
            if str(found[name]) != text:  # nor 3.0 or 3e0 for 3: one thing, one address
                raise Refused(404, "not_found", f"that is no {name}'s name")
        return found

    def _query(self) -> dict[str, Any]:
        given = self._event.get("multiValueQueryStringParameters") or {}
        fields = {one.encode_name: one for one in msgspec.structs.fields(self.route.asked)}
        found: dict[str, Any] = {}
        if sum(len(str(name)) + len(str(one)) for name in given for one in given[name]) > (
            MAX_QUERY_CHARACTERS
        ):
            raise Refused(
                413, "too_large", f"a query has at most {MAX_QUERY_CHARACTERS} characters"
            )
        for name, values in given.items():
            many = name in fields and isinstance(fields[name].default_factory, type)
            if len(values) != 1 and not many:
                raise Refused(400, "malformed", f"the parameter {str(name)[:64]!r} is there twice")
            found[str(name)] = [str(one) for one in values] if many else str(values[0])
        return found

    def _wanted(self, query: dict[str, Any]) -> Any:
        """The query as the route's type. Raises: Refused."""
        wanted = self._convert(query, strict=False)
        for field in msgspec.structs.fields(self.route.asked):
            value = getattr(wanted, field.name)
            if type(value) is int and query.get(field.encode_name, str(value)) != str(value):
                raise Refused(422, "invalid", f"Expected `int` in decimal - at `$.{field.name}`")
        return wanted

    def _body(self) -> bytes:
        said = self._event.get("body") or ""
        if len(said) > 2 * MAX_BODY_BYTES:
            raise _too_large()
        try:
            data = (
                base64.b64decode(said, validate=True)
                if self._event.get("isBase64Encoded")
                else said.encode()
            )
        except (binascii.Error, ValueError):
            raise Refused(400, "malformed", "the body cannot be read") from None
        if len(data) > MAX_BODY_BYTES:
            raise _too_large()
        return data

    def _convert(self, value: Any, *, strict: bool) -> Any:
        try:
            return msgspec.convert(value, self.route.asked, strict=strict)
        except msgspec.ValidationError as error:
            raise Refused(422, "invalid", f"{error}"[:300]) from None


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, Malformed) else "a value that JSON cannot hold"


def _too_large() -> Refused:
    return Refused(413, "too_large", f"a body has at most {MAX_BODY_BYTES} bytes")
