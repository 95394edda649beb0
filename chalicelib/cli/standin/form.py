"""What a call says, as CloudTrail's ``requestParameters``: from its form and botocore's model.

Of the query protocols (``query``, ``ec2``): IAM's, RDS's, EC2's. They have maps in three operations
only, which nobody calls here: those are left out. CloudTrail renames some of EC2's members; here
they keep the API's names. Source: AWS, Smithy 2.0, "AWS query protocol" and "AWS EC2 query
protocol"; CloudTrail User Guide, "CloudTrail record contents".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, Shape

HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"  # what CloudTrail writes in place of a password
MAX_ELEMENTS: Final = 1_000  # of one list


def parameters(operation: OperationModel, form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of one call by CloudTrail's names, without what is a secret."""
    shape = operation.input_shape
    is_ec2 = operation.service_model.metadata["protocol"] == "ec2"
    found = _Form(form, is_ec2=is_ec2).value(shape, "") if shape is not None else None
    return found if isinstance(found, dict) else {}


class _Form:
    """A form, read by shapes. None: nothing of a shape is in it."""

    def __init__(self, form: Mapping[str, str], *, is_ec2: bool) -> None:
        self._form = form
        self._is_ec2 = is_ec2

    def value(self, shape: Any, name: str) -> Any:
        """What the form has under ``name``, which is of ``shape``."""
        if shape.type_name == "structure":
            return self._structure(shape, name)
        if shape.type_name == "list":
            return self._list(shape, name)
        text = self._form.get(name)
        if text is None or shape.type_name == "map":
            return None
        if shape.metadata.get("sensitive") or "password" in name.lower():
            return HIDDEN
        if shape.type_name == "boolean":
            return text == "true"
        return int(text) if shape.type_name in {"integer", "long"} else text

    def _structure(self, shape: Any, name: str) -> dict[str, Any] | None:
        found = {}
        for member, inner in shape.members.items():
            value = self.value(inner, _joined(name, self._name(member, inner)))
            if value is not None:
                found[member[0].lower() + member[1:]] = value
        return found or None

    def _list(self, shape: Any, name: str) -> Any:
        if not self._is_ec2:
            inner = shape.member.serialization.get("name")
            if not shape.serialization.get("flattened"):
                name = _joined(name, inner or "member")
            elif inner:
                name = _joined(name.rpartition(".")[0], inner)
        found = []
        for number in range(1, MAX_ELEMENTS + 1):
            value = self.value(shape.member, f"{name}.{number}")
            if value is None:
                break
            found.append(value)
        if not found:
            return None
        return {"items": found} if self._is_ec2 else found

    def _name(self, member: str, shape: Shape) -> str:
        said: Mapping[str, str] = shape.serialization
        if self._is_ec2:
            name = said.get("queryName") or said.get("name", member)
            return name if "queryName" in said else name[0].upper() + name[1:]
        return said.get("name", member)


def _joined(name: str, member: str) -> str:
    return f"{name}.{member}" if name else member
