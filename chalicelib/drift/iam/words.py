"""A request that shows a difference, and whose it is, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.drift.iam.document import Document, Effect
from chalicelib.drift.iam.region import Kind, variables
from chalicelib.drift.iam.witness import ALL, reaches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.drift.iam.document import Names, Statement
    from chalicelib.drift.iam.question import Question
    from chalicelib.drift.iam.request import Request
    from chalicelib.drift.iam.witness import View

# AWS IAM User Guide, "AWS global condition context keys", and a few of its services: policies may
# have any case, and people know this one.
_SPELLINGS: Final = {
    one.lower(): one
    for one in (
        "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:CurrentTime",
        "aws:Ec2InstanceSourceVpc", "aws:Ec2InstanceSourcePrivateIPv4", "aws:EpochTime",
        "aws:FederatedProvider", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalIsAWSService",
        "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalServiceName",
        "aws:PrincipalServiceNamesList", "aws:PrincipalTag", "aws:PrincipalType",
        "aws:RequestedRegion", "aws:RequestTag", "aws:ResourceAccount", "aws:ResourceOrgID",
        "aws:ResourceOrgPaths", "aws:ResourceTag", "aws:SecureTransport", "aws:SourceAccount",
        "aws:SourceArn", "aws:SourceIdentity", "aws:SourceIp", "aws:SourceOrgID",
        "aws:SourceOrgPaths", "aws:SourceVpc", "aws:SourceVpce", "aws:TagKeys",
        "aws:TokenIssueTime", "aws:UserAgent", "aws:ViaAWSService", "aws:VpcSourceIp",
        "ec2:ResourceTag", "iam:PassedToService", "iam:PermissionsBoundary", "iam:PolicyARN",
        "kms:ViaService", "sts:ExternalId", "sts:RoleSessionName",
    )
}  # fmt: skip
NOTHING: Final = {
    Kind.IDENTITY: "it allows nothing, and denies nothing",
    Kind.RESOURCE: "it lets nobody in",
    Kind.CEILING: "it limits nothing",
}
"""Of a policy that is worth no more than none."""

_PLAIN: Final = re.compile(r"[\w.:/@+=*?${}~#%-]+", re.ASCII)


def named(question: Question, *, upward: bool) -> str:
    """Whose statement a question is about."""
    whose = "new" if question.is_high is upward else "old"
    sid = f" ({question.sid})" if question.sid else ""
    return f"statement {question.statement}{sid} of the {whose} policy"


def difference(whose: str, shown: str, *, is_high: bool, upward: bool) -> str:
    """What a statement of the document that allows more (``is_high``), or less, makes different.

    ``upward``: that the new document is the one that allows more. ``shown``: a request for which.
    """
    if is_high:
        end = "allows what was not allowed" if upward else "allowed what is not allowed any more"
    elif upward:
        end = "denied what is not denied any more"
    else:
        end = "denies what was not denied"
    return f"{whose} {end}: {shown}"


def everything(whose: str, *, upward: bool) -> str:
    """The same of a document that allows all, or (``whose`` empty) of no limit at all."""
    is_so = "every action on every resource"
    if upward:
        said = f"{whose} allows {is_so}" if whose else f"without a policy {is_so} is allowed"
        return f"{said}, which was not so before"
    said = f"{whose} allowed {is_so}" if whose else f"without a policy {is_so} was allowed"
    return f"{said}, which is not so any more"


def is_everything(document: Document, statement: Statement) -> bool:
    """Whether the statement, of this document, allows each and every request of identities."""
    return (
        statement.effect is Effect.ALLOW
        and statement.actions == ALL
        and statement.resources == ALL
        and not (statement.principals or statement.atoms or statement.unknown or document.unknown)
        and all(one.effect is Effect.ALLOW for one in document.statements)
    )


def shown(request: Request, view: View, lacking: Iterable[str]) -> str:
    """A request, or all of a view: with what of its context, and without which condition keys."""
    action = _actions(view.actions, request.action)
    said = [action if view.resources is None else f"{action} on {_resources(view.resources)}"]
    known = [
        f"{spelled(key)} = {' and '.join(map(quoted, values))}"
        for key, values in sorted(request.context.items())
        if values
    ]
    said += [f"with {' and '.join(known)}"] if known else []
    missing = " and ".join(map(spelled, lacking))
    said += [f"without {missing}"] if missing else []
    return ", ".join(said)


def absent(documents: Iterable[Document], request: Request, view: View) -> list[str]:
    """Condition keys that the request does not have, and that a decision may turn on, sorted.

    Keys of conditions, and those whose values stand in texts. A key that is only of statements that
    do not apply anyway is none of them.
    """
    found: set[str] = set()
    for one in (one for document in documents for one in document.statements):
        lacking = {key for key in _keys(one) if not request.context.get(key)}
        if not lacking <= found and reaches(_without(one, lacking), view, request) is not False:
            found |= lacking
    return sorted(found)


def _keys(one: Statement) -> set[str]:
    """The condition keys that a statement speaks of."""
    found = {atom.key for atom in one.atoms}
    texts = one.resources.texts if one.resources is not None else ()
    if any(
        "${" in text for text in (*texts, *(text for atom in one.atoms for text in atom.values))
    ):
        found |= variables(Document((one,)))
    return found


def _without(one: Statement, lacking: set[str]) -> Statement:
    """The statement without all that turns on these keys: it applies to no less."""
    bare = msgspec.structs.replace(one, atoms=())
    return msgspec.structs.replace(
        one,
        atoms=tuple(
            atom
            for atom in one.atoms
            if not _keys(msgspec.structs.replace(one, resources=None, atoms=(atom,))) & lacking
        ),
        resources=ALL if _keys(bare) & lacking else one.resources,
    )


def spelled(key: str) -> str:
    """A condition key in the case that AWS writes it in, where that is known."""
    name, slash, rest = quoted(key).partition("/")
    return f"{_SPELLINGS.get(name, name)}{slash}{rest}"


def quoted(text: str) -> str:
    """The text, in quotes where it could be taken for more than one word of ours."""
    return text if _PLAIN.fullmatch(text) else repr(text)


def _actions(names: Names, action: str) -> str:
    if names == ALL:
        return "every action"
    if names.negated:
        return f"every action but {' and '.join(names.texts)}"
    return _cased(names.texts[0], action)


def _cased(pattern: str, action: str) -> str:
    """The pattern with the letters of an action that it matches, as far as they are the same."""
    head = pattern.partition("*")[0].partition("?")[0]
    if pattern == head:
        return action
    return action[: len(head)] + pattern[len(head) :]


def _resources(names: Names) -> str:
    if names == ALL:
        return "every resource"
    said = " and ".join(map(quoted, names.texts))
    return f"every resource but {said}" if names.negated else said
