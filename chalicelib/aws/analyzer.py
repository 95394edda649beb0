"""Access Analyzer as a second opinion: does a policy give access that another does not.

The answer is PASS or FAIL, proven by AWS's own reasoning; of a policy that it does not take, and
where it refuses or throttles, it cannot tell, and a scan goes on. ``ACTIONS`` are the IAM actions
this needs. Source: IAM Access Analyzer API reference, "CheckNoNewAccess".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.aws.failures import translated, understood
from chalicelib.drift.opinion import Opinion
from chalicelib.kernel.errors import HoldfastError, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACTIONS: Final = ("access-analyzer:CheckNoNewAccess",)

SERVICE: Final = "accessanalyzer"
MAX_FAILURES: Final = 3  # in a row; then it is not asked any more

_ANSWERS: Final = {"PASS": False, "FAIL": True}


class Analyzer:
    """The second opinion, for one look at an account. ``client(service)`` gives botocore's."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client = client
        self._failures = 0
        self._why = ""

    def new_access(
        self, existing: Mapping[str, Any], new: Mapping[str, Any], *, resource: bool
    ) -> Opinion:
        """Whether ``new`` gives access that ``existing`` does not; None where it cannot tell.

        ``resource``: they are policies of a resource. Nothing that AWS answers is an error.
        """
        if self._failures >= MAX_FAILURES:
            return Opinion(None, f"not asked any more: {self._why}")
        try:
            action = "ask Access Analyzer"
            with translated(action, NotPermitted), understood(action):
                answer = self._client(SERVICE).check_no_new_access(
                    newPolicyDocument=msgspec.json.encode(new).decode(),
                    existingPolicyDocument=msgspec.json.encode(existing).decode(),
                    policyType="RESOURCE_POLICY" if resource else "IDENTITY_POLICY",
                )
        except HoldfastError as error:
            self._failures += 1
            self._why = error.message
            return Opinion(None, error.message)
        self._failures = 0
        result = answer.get("result")
        if result not in _ANSWERS:
            return Opinion(None, "it answered neither PASS nor FAIL")
        return Opinion(_ANSWERS[result])
