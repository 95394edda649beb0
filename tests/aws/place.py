"""The AWS adapters side by side, under names of their own, and a log on them."""

from __future__ import annotations

import uuid

from contract.adapters import make_bucket, make_table
from evidence.place import Place

from chalicelib.aws.derived import S3Derived
from chalicelib.aws.documents import DynamoDocuments
from chalicelib.aws.lock import DynamoLocks
from chalicelib.aws.signer import KmsSigner
from chalicelib.aws.writeonce import S3WriteOnce
from chalicelib.local.clock import SystemClock


class Account:
    """Buckets, tables and a key that are made once; ``ports`` gives adapters with other clients."""

    def __init__(self, aws, spec="ECC_NIST_EDWARDS25519"):
        self.aws = aws
        self.name = f"account-{uuid.uuid4()}"
        s3, dynamodb, kms = (aws.client(service) for service in ("s3", "dynamodb", "kms"))
        make_bucket(s3, self.name)
        s3.create_bucket(Bucket=f"{self.name}-derived")
        make_table(dynamodb, self.name, "p", "k")
        make_table(dynamodb, f"{self.name}-locks", "k")
        self.key = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]

    def ports(self, **options):
        return Ports(self, **options)


class Ports:
    """One process's adapters. ``options``: of their clients."""

    def __init__(self, account, **options):
        made = {name: account.aws.client(name, **options) for name in ("s3", "dynamodb", "kms")}
        self.s3, self.bucket = made["s3"], account.name
        calm = {"pause": lambda _: None}
        self.writeonce = S3WriteOnce(made["s3"], account.name, **calm)
        self.derived = S3Derived(made["s3"], f"{account.name}-derived", **calm)
        self.documents = DynamoDocuments(made["dynamodb"], account.name, **calm)
        self.signer = KmsSigner(made["kms"], account.key, self.writeonce, SystemClock())
        self.locks = DynamoLocks(
            made["dynamodb"], f"{account.name}-locks", SystemClock(), "the test"
        )


class AwsPlace(Place):
    """A log on AWS's adapters; ``root`` is only a folder that stays empty."""

    def __init__(self, root, ports):
        self.aws = ports
        names = ("writeonce", "derived", "documents", "signer")
        taken = {name: getattr(ports, name) for name in names}
        super().__init__(root, signer=ports.signer, wrap=lambda _: taken)
