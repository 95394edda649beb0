"""Access Analyzer as a second opinion; moto has none of it, so a client of ours answers."""

from __future__ import annotations

import json

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.validate import ParamValidator

from chalicelib.aws.analyzer import ACTIONS, MAX_FAILURES, Analyzer
from chalicelib.drift.opinion import Opinion

OLD = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:getobject"]}]}
NEW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"]}]}


class Service:
    """The one operation, checked against botocore's own description of it."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        model = botocore.session.get_session().get_service_model("accessanalyzer")
        self.operation = model.operation_model("CheckNoNewAccess")

    def __call__(self, service):
        assert service == "accessanalyzer"
        return self

    def check_no_new_access(self, **parameters):
        report = ParamValidator().validate(parameters, self.operation.input_shape)
        assert not report.has_errors(), report.generate_report()
        shape = self.operation.input_shape.members["policyType"]
        assert parameters["policyType"] in shape.enum
        self.asked.append(parameters)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"result": answer, "message": "", "reasons": []}


def refused(code="AccessDeniedException", status=403):
    told = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, "CheckNoNewAccess")


def test_the_new_policy_is_asked_about_against_the_old_one():
    service = Service("FAIL", "PASS")
    ours = Analyzer(service)
    assert ours.new_access(OLD, NEW, resource=False) == Opinion(finds=True)
    assert ours.new_access(NEW, OLD, resource=True) == Opinion(finds=False)
    first, second = service.asked
    assert json.loads(first["existingPolicyDocument"]) == OLD
    assert json.loads(first["newPolicyDocument"]) == NEW
    assert (first["policyType"], second["policyType"]) == ("IDENTITY_POLICY", "RESOURCE_POLICY")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused(), "AccessDeniedException"),
        (refused("ThrottlingException", 429), "ThrottlingException"),
        (refused("InvalidParameterException", 400), "InvalidParameterException"),
        (EndpointConnectionError(endpoint_url="https://x"), "no connection"),
    ],
    ids=["refused", "throttled", "invalid", "unreachable"],
)
def test_what_is_not_answered_is_no_error_and_no_answer(error, said):
    found = Analyzer(Service(error)).new_access(OLD, NEW, resource=False)
    assert found.finds is None
    assert said in found.why


def test_another_answer_is_none():
    found = Analyzer(Service("MAYBE")).new_access(OLD, NEW, resource=False)
    assert found == Opinion(None, "it answered neither PASS nor FAIL")


def test_who_refuses_again_and_again_is_not_asked_any_more():
    service = Service(refused(), "PASS", *[refused()] * MAX_FAILURES)
    ours = Analyzer(service)
    found = [ours.new_access(OLD, NEW, resource=False) for _ in range(MAX_FAILURES + 3)]
    assert len(service.asked) == MAX_FAILURES + 2
    assert found[1] == Opinion(finds=False)
    assert found[-1].finds is None
    assert found[-1].why.startswith("not asked any more: cannot ask Access Analyzer")


def test_the_action_is_the_operation_that_is_called():
    model = botocore.session.get_session().get_service_model("accessanalyzer")
    assert (f"{model.endpoint_prefix}:CheckNoNewAccess",) == ACTIONS
