"""Chapters about AWS, told on a stand-in of it: an account and an RDS instance, held to a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.cli.standin.account import INSTANCE, REGION, SCANNER
from chalicelib.drift.finding import SHORT_ID

if TYPE_CHECKING:
    from chalicelib.cli.standin.process import StandIn
    from chalicelib.cli.story.stage import Stage

LABEL: Final = "a stand-in of AWS (moto) on this machine; no call leaves it"
TARGETS: Final = ("iam-prod", "orders-rds")


class Cloud:
    """Told on a stage whose target ``shop`` is the database that RDS is said to run."""

    def __init__(self, stage: Stage, standin: StandIn) -> None:
        self._stage = stage
        self._standin = standin

    def sign(self) -> None:
        """People sign for the account and the instance, and nothing is different."""
        self._stage.environment.update(self._standin.environment(SCANNER))
        self._stage.chapter("What is around the database: an AWS account, and RDS")
        self._stage.words(
            f"There is no AWS here, so this is {LABEL}. That RDS runs the shop's database is part "
            "of the story."
        )
        there = ("--endpoint", self._standin.endpoint)
        account = ("--kind", "iam", "--account", self._standin.account)
        self._stage.run("target", "add", "iam-prod", *account, *there, expect=0)
        instance = ("--kind", "rds", "--instance", INSTANCE, "--region", REGION)
        inside = ("--database-target", "shop")
        self._stage.run("target", "add", "orders-rds", *instance, *inside, *there, expect=0)
        for target in TARGETS:
            comment = ("--comment", "go live")
            self._stage.run("--as", "ana", "baseline", "propose", target, *comment, expect=0)
            self._stage.run("--as", "ben", "baseline", "approve", target, expect=0)
        self._stage.run("scan", *TARGETS, expect=0)

    def night(self) -> None:
        """Somebody changes both; what that means, and who it was, stands on the findings."""
        self._stage.chapter("3 a.m., in AWS")
        self._stage.words(
            f"Somebody has an access key of the user mallory ({LABEL}; its CloudTrail is the calls "
            "that it served):"
        )
        self._stage.deeds(self._standin.night())
        self._stage.words(
            "\nA policy is judged by what it means, and CloudTrail is asked who it was:"
        )
        self._stage.run("scan", *TARGETS, expect=1)
        widened = self._stage.finding("iam_inline_policy")
        self._stage.run("drift", "show", widened[:SHORT_ID], expect=0)
        self._stage.words("Who can reach databases now:")
        self._stage.run("access", "reach", "iam-prod", expect=0)
