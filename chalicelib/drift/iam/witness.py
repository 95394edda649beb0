"""A request that people can recognise, in place of a shortest one that shows the same.

What a search finds is as short as can be, ``s3:GetObject on arn:aws:s3::::``. Requests of the same
statement are tried in its place: a well-known action, the statement's own resource with words for
its wildcards. One is taken only where the evaluation of both documents is the same for it.

Then as much of the statement as is decided alike is said instead of one action and one resource: a
``View``. It is proven for every request in it, of the same principal and context.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chalicelib.drift.iam import glob
from chalicelib.drift.iam.automaton import covers
from chalicelib.drift.iam.document import Document, Effect, Names, Statement
from chalicelib.drift.iam.evaluate import Decision, applies, evaluate, is_met
from chalicelib.drift.iam.glob import Pattern, Wild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.drift.iam.actions import Index
    from chalicelib.drift.iam.request import Request

MAX_TRIED: Final = 6  # requests in place of one
MAX_TEXTS: Final = 400  # actions and resources of both documents, to prove a view of
MAX_EXCEPTED: Final = 3  # that a view names

ALL: Final = Names(("*",))
ACCOUNT: Final = "111122223333"  # an example's, as AWS's documentation has it
REGION: Final = "us-east-1"
WORDS: Final = ("example", "something-else")  # for a star

# Where a statement leaves the choice: what most people know, what is dangerous first.
_TELLING: Final = (
    "iam:CreateAccessKey", "iam:PassRole", "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
    "s3:ListBucket", "sts:AssumeRole", "secretsmanager:GetSecretValue", "kms:Decrypt",
    "ec2:RunInstances", "ec2:TerminateInstances", "ec2:DescribeInstances", "rds:ModifyDBInstance",
    "lambda:InvokeFunction", "dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessage",
    "sns:Publish", "ssm:GetParameter", "logs:PutLogEvents", "cloudtrail:StopLogging",
)  # fmt: skip
_GLOBAL: Final = {"iam", "s3", "route53", "cloudfront", "organizations"}  # ARNs have no region
_REST: Final = {
    "s3": "example-bucket/example",
    "iam": "role/example",
    "sts": "role/example",
    "ec2": "instance/i-0123456789abcdef0",
    "rds": "db:example",
    "secretsmanager": "secret:example",
    "kms": "key/example",
    "lambda": "function:example",
    "dynamodb": "table/example",
    "ssm": "parameter/example",
}
_NO_BUCKET: Final = f"arn:aws:s3:{REGION}:{ACCOUNT}:accesspoint/example"
_COMPONENTS: Final = 6  # of an ARN


class View(NamedTuple):
    """What to say of a request: it, and all others of these actions and resources, go one way.

    ``resources``: None, where neither document speaks of any.
    """

    actions: Names
    resources: Names | None


def plausible(
    old: Document, new: Document, of: Statement, request: Request, index: Index | None
) -> Request:
    """A request of the statement that is decided as this one is, by either document."""
    if applies(of, request) is not True:
        return request
    wanted = evaluate(old, request), evaluate(new, request)
    for action, resource in islice(_tries(of, request, index), MAX_TRIED):
        found = msgspec.structs.replace(request, action=action, resource=resource)
        if applies(of, found) is True and (evaluate(old, found), evaluate(new, found)) == wanted:
            return found
    return request


def view(old: Document, new: Document, of: Statement, request: Request) -> View:
    """The widest part of the statement that is proven to be decided as the request is.

    Its actions and resources; or its resources and this action; or no more than the request.
    """
    is_spoken = any(one.resources is not None for one in (*old.statements, *new.statements))
    if _texts(old) + _texts(new) <= MAX_TEXTS:
        area = _part(of.resources, request) if is_spoken else None
        wanted = (old, evaluate(old, request)), (new, evaluate(new, request))
        for deed in (_deed(of.actions, request.action), Names((request.action.lower(),))):
            if deed is not None and (area is not None or not is_spoken):
                found = View(deed, area)
                if all(_decided(one, found, request) is said for one, said in wanted):
                    return found
    return exact(request) if is_spoken else exact(request)._replace(resources=None)


def exact(request: Request) -> View:
    """No more than the request."""
    which = glob.render(Pattern(tuple(request.resource)))
    return View(Names((request.action.lower(),)), Names((which,)))


def sample(action: str) -> str:
    """An ARN that the action may be asked of, for an example."""
    service, _, name = action.lower().partition(":")
    rest = _REST.get(service, "example")
    if service == "s3" and "object" not in name:
        rest = "example-bucket"
    elif service == "iam":
        kind = next((one for one in ("role", "user", "group", "policy") if one in name), "user")
        rest = f"{kind}/example"
    of = "iam" if service == "sts" else service  # what STS is asked for are roles
    account = "" if of == "s3" else ACCOUNT
    return f"arn:aws:{of}:{'' if of in _GLOBAL else REGION}:{account}:{rest}"


def _texts(document: Document) -> int:
    return sum(
        len(one.actions.texts) + len(one.resources.texts if one.resources is not None else ())
        for one in document.statements
    )


def _tries(of: Statement, request: Request, index: Index | None) -> Iterator[tuple[str, str]]:
    """Actions and resources to try, the best first."""
    first, *others = _resources(of, request)
    for action in (*_telling(of.actions, request.action, index), request.action):
        yield action, first or sample(action)
    for resource in others:
        yield request.action, resource


def _telling(names: Names, action: str, index: Index | None) -> Iterator[str]:
    """Well-known actions that are of the names and of the reference; none, where one is named."""
    if index is None or (not names.negated and action.lower() in names.texts):
        return
    known = 0
    for text in names.texts:
        known |= index.mask(text)
    for one in _TELLING:
        mask = index.mask(one.lower())
        if mask and bool(mask & known) is not names.negated:
            yield one


def _resources(of: Statement, request: Request) -> Iterator[str]:
    """Resources to try; empty: an example of the action's service."""
    part = _part(of.resources, request)
    if part is None or part.negated or "*" in part.texts:
        yield ""
        if request.action.lower().startswith("s3:"):
            yield _NO_BUCKET
        return
    for word in WORDS:
        yield fill(glob.parse(part.texts[0]), request.action, word)


def _part(names: Names | None, request: Request) -> Names | None:
    """The one pattern of the statement that the resource is of; or all but a few.

    Variables have the values of the request; None: there is none such.
    """
    if names is None:
        return ALL
    settled = list(_settled(names, request))
    if names.negated:
        if None in settled or len(settled) > MAX_EXCEPTED:
            return None
        return Names(tuple(glob.render(one) for one in settled if one is not None), negated=True)
    return next(
        (
            Names((glob.render(one),))
            for one in settled
            if one is not None and glob.matches(one, request.resource)
        ),
        None,
    )


def _settled(names: Names, request: Request) -> Iterator[Pattern | None]:
    """The patterns with the values that the request has for variables; None: one has no value."""
    known = {key: values[0] for key, values in request.context.items() if len(values) == 1}
    for text in names.texts:
        pattern = _pattern(text)
        yield glob.substitute(pattern, known) if "${" in text else pattern


def _deed(names: Names, action: str) -> Names | None:
    """The one pattern of the statement that the action is of; or all but a few; else None."""
    if names.negated:
        return names if len(names.texts) <= MAX_EXCEPTED else None
    fitting = (one for one in names.texts if glob.matches(_pattern(one), action.lower()))
    return next((Names((one,)) for one in fitting), None)


@lru_cache(maxsize=4_096)
def _pattern(text: str) -> Pattern:
    return glob.parse(text)


def fill(pattern: Pattern, action: str, word: str) -> str:
    """A text that a pattern without variables matches, with words for its wildcards."""
    parts: list[list[glob.Token]] = [[]]
    for token in pattern.tokens:
        if token == ":" and len(parts) < _COMPONENTS:  # noqa: S105
            parts.append([])
        else:
            parts[-1].append(token)
    usual = sample(action)
    if len(parts) < _COMPONENTS:
        return usual if glob.matches(pattern, usual) else _filled(pattern.tokens, word)
    return ":".join(
        fitting if part and glob.matches(Pattern(tuple(part)), fitting) else _filled(part, word)
        for part, fitting in zip(parts, usual.split(":", _COMPONENTS - 1), strict=True)
    )


def _filled(tokens: Iterable[glob.Token], word: str) -> str:
    """Words for stars, a letter for each question mark."""
    return "".join(
        token if isinstance(token, str) else word if token is Wild.ANY else "x" for token in tokens
    )


def _decided(document: Document, of: View, request: Request) -> Decision | None:
    """The decision on all such requests, where it is plain to see that it is one; else None."""
    for effect, said in ((Effect.DENY, Decision.DENIED), (Effect.ALLOW, Decision.ALLOWED)):
        answers = {reaches(one, of, request) for one in document.statements if one.effect is effect}
        if True in answers:
            return said
        if None in answers:
            return None
    return Decision.SILENT


def reaches(one: Statement, of: View, request: Request) -> bool | None:
    """Whether a statement applies to all of a view (True) or to none of it (False).

    None: neither is plain to see.
    """
    if one.unknown:
        return None
    answers = [relation(of.actions, one.actions)]
    if one.resources is not None and False not in answers:
        answers.append(_reached(one.resources, of.resources or ALL, request))
    if False not in answers:
        answers.append(is_met(one, request))
    if False in answers:
        return False
    return None if None in answers else True


def _reached(names: Names, area: Names, request: Request) -> bool | None:
    settled = list(_settled(names, request))
    if names.negated and None in settled:
        return None
    texts = tuple(glob.render(pattern) for pattern in settled if pattern is not None)
    return relation(area, Names(texts, names.negated))


def relation(part: Names, whole: Names) -> bool | None:
    """Whether the one lies in the other (True) or has nothing in common with it (False).

    None: neither is plain to see. Quick, and never wrong.
    """
    if whole.negated:
        inner = relation(part, Names(whole.texts))
        return None if inner is None else not inner
    if part.negated:
        if "*" in whole.texts:
            return True
        return False if all(_is_within(text, part.texts) for text in whole.texts) else None
    if all(_is_within(text, whole.texts) for text in part.texts):
        return True
    apart = all(_are_apart(one, other) for one, other in product(part.texts, whole.texts))
    return False if apart else None


def _is_within(text: str, texts: Iterable[str]) -> bool:
    """Whether one of the patterns plainly includes this one."""
    return any(one in {"*", text} or covers(_pattern(one), _pattern(text)) for one in texts)


def _are_apart(one: str, other: str) -> bool:
    """Whether no text is of both, as how they begin or end tells, or one of them is no pattern."""
    first, second = _pattern(one), _pattern(other)
    tokens = first.tokens, second.tokens
    if _differ(*tokens) or _differ(*(some[::-1] for some in tokens)):
        return True
    return (_is_text(first) and not covers(second, first)) or (
        _is_text(second) and not covers(first, second)
    )


def _is_text(pattern: Pattern) -> bool:
    return not any(isinstance(token, Wild) for token in pattern.tokens)


def _differ(one: tuple[glob.Token, ...], other: tuple[glob.Token, ...]) -> bool:
    """Whether the first characters differ, before any wildcard."""
    for first, second in zip(one, other, strict=False):
        if not (isinstance(first, str) and isinstance(second, str)):
            return False
        if first != second:
            return True
    return False
