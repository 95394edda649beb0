"""Moto's GetAccountAuthorizationDetails in pages, as AWS gives it; moto gives all in one."""

from __future__ import annotations

from contextlib import contextmanager

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

LISTS = {
    "users": "UserDetailList",
    "groups": "GroupDetailList",
    "roles": "RoleDetailList",
    "managed_policies": "Policies",
}


@contextmanager
def paged(most=1_000):
    """A block in which an answer has ``most`` elements, or MaxItems if that is less.

    AWS may give fewer than MaxItems, and says how it goes on (IAM API Reference).
    """
    whole = IamResponse.get_account_authorization_details

    def answer(self):
        found = self.backend.get_account_authorization_details(self._get_param("Filter", []))
        named = [(member, one) for kind, member in LISTS.items() for one in found[kind]]
        named.sort(key=lambda pair: (pair[0], pair[1].arn))
        first = int(self._get_param("Marker", "0"))
        end = first + min(most, int(self._get_param("MaxItems", "100")))
        result = {member: [] for member in LISTS.values()}
        for member, one in named[first:end]:
            result[member].append(one)
        more = {"Marker": str(end)} if end < len(named) else {}
        return ActionResult({**result, "IsTruncated": bool(more), **more})

    IamResponse.get_account_authorization_details = answer
    try:
        yield
    finally:
        IamResponse.get_account_authorization_details = whole
