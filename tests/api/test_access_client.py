"""The client asks for access, and gets and shows what it must: everything, and no credential."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from rich.console import Console
from rich.pretty import Pretty
from support.listening import listening
from support.peer import answering

from chalicelib.api.client import There
from chalicelib.api.wishes import (
    Agree,
    AskFor,
    CredentialView,
    Look,
    Prolong,
    Refuse,
    RequestQuery,
    Wished,
)
from chalicelib.kernel.errors import (
    Forbidden,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    Unsupported,
    UsageError,
)


def people(place):
    """Ana, who asks, and Ben, who approves."""
    return place.token("ana", "engineer"), place.token("ben", "approver")


@contextlib.contextmanager
def reached(place):
    """The place on a socket of this machine."""
    with listening(place.app) as made:
        yield f"http://127.0.0.1:{made.effective_port}"


def client(url, token):
    keys = iter(range(1_000))
    return There(
        url,
        lambda *_request: {"Authorization": f"Bearer {token}"},
        pause=lambda _seconds: None,
        new_key=lambda: f"{token[-20:]}-{next(keys)}",
    )


def test_the_client_does_all_of_it_and_shows_no_credential(place, caplog, capfd):
    caplog.set_level("DEBUG")
    with reached(place) as url:
        ana, ben = (client(url, token) for token in people(place))
        wish = {"profile": "read-clear", "reason": "INC-1", "tables": ("public.orders",)}
        asked = ana.do("request", AskFor(target="orders", **wish))
        amended = ana.do(
            "request_amend", Wished(**wish, seconds=600, ticket="INC-1"), request=asked.id
        )
        with pytest.raises(PreconditionFailed):
            ben.do("request_approve", Agree(seen=asked.version), request=asked.id)
        with pytest.raises(NotAllowed):
            ana.do("request_approve", Agree(), request=asked.id)
        agreed = ben.do("request_approve", Agree(seen=amended.version), request=asked.id)
        assert (agreed.phase, agreed.ticket) == ("approved", "INC-1")
        credential = ana.do("credential", request=asked.id)
        assert isinstance(credential, CredentialView)
        assert credential.fields["password"] == place.cluster.passwords[-1]
        assert ana.do("credential", request=asked.id).fields != credential.fields
        assert ana.do("renew", Prolong(seconds=900), request=asked.id).renewal is not None
        assert ben.do("request_deny", Refuse(comment="no"), request=asked.id).renewal is None
        assert ben.do("requests", RequestQuery(phase="active")).items[0].id == asked.id
        assert ben.do("revoke", Refuse(), request=asked.id).phase == "ended"
        assert ana.do("request_show", request=asked.id).lease.claims == 2
        glass = ana.do("request", AskFor(target="orders", break_glass=True, **wish))
        ana.do("credential", request=glass.id)
        ana.do("revoke", Refuse(), request=glass.id)
        assert ben.do("request_review", Look(comment="as said"), request=glass.id).review == (
            "closed"
        )
        given_up = ana.do("request", AskFor(target="orders", **wish))
        assert ana.do("request_withdraw", request=given_up.id).phase == "withdrawn"
        assert len(ben.do("access_review", target="orders").leases) == 2
        with pytest.raises(NotFound):
            ana.do("credential", request="orders.abcdefghijkm")
        with pytest.raises(Forbidden):
            ben.do("request", AskFor(target="orders", **wish))
        with pytest.raises(UsageError):
            ana.do("request", AskFor(target="orders", **wish | {"tables": ("t",)}))
    assert len(place.cluster.passwords) == 3
    told = f"{credential!r} {credential} {caplog.text} {''.join(capfd.readouterr())}"
    assert not [one for one in place.cluster.passwords if one in told]


SECRET = "hunter2-of-the-lease"
VIEW = {"id": "orders.abcdefghijkm", "kind": "postgres", "until": "t"}


def test_no_form_of_a_credential_that_people_see_has_its_secret():
    one = CredentialView(**VIEW, fields={"password": SECRET})
    screen = io.StringIO()
    Console(file=screen, width=200).print(Pretty(one), one)
    told = f"{one!r} {one} {[one]} {screen.getvalue()}"
    assert SECRET not in told
    assert VIEW["id"] in told
    with pytest.raises(TypeError, match="not kept"):
        one.__reduce__()


@pytest.mark.parametrize(
    "body",
    [
        {**VIEW, "fields": {"password": [SECRET]}},
        {**VIEW, "fields": SECRET},
        {**VIEW, "fields": {"password": SECRET}, "kind": 3},
        {**VIEW, "until": None, "fields": {"password": SECRET}},
    ],
    ids=["list", "text", "kind", "until"],
)
def test_an_answer_that_cannot_be_read_is_not_repeated(body, caplog, capfd):
    caplog.set_level("DEBUG")
    said = json.dumps(body).encode()
    for content in (said, said[:-1]):
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
        )
        with (
            answering(f"{head}\r\n\r\n".encode() + content) as (url, _),
            pytest.raises(Unsupported) as failed,
        ):
            client(url, "t" * 30).do("credential", request=VIEW["id"])
        told = f"{failed.value!r} {failed.value.next_step} {caplog.text}"
        assert SECRET not in told + "".join(capfd.readouterr())
