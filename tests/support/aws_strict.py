"""What AWS does and moto 5.2.5 does not, as corrections of its answers.

S3: COMPLIANCE retention is never shortened; GetObjectRetention is answered; what was never held has
no legal hold to tell of; versions are listed
newest first also within one millisecond, and in pages; a delete marker is put also where nothing
was; versioning of a locked bucket stays on;
multipart uploads to a locked bucket are refused, since moto loses their lock (AWS takes them).
KMS: Ed25519 keys; MessageType DIGEST is not hashed again; messages of more than 4,096 bytes, and
keys that are disabled or pending deletion, are refused; GetPublicKey says KeySpec and the ARN.
CloudTrail: LookupEvents, which knows of the signatures and of what a test adds to ``trail``.
DynamoDB: ClientRequestToken, for 10 minutes; the bounds of an item and of a transaction.

Not corrected: no policy of any kind is enforced; CopyObject and KMS Verify are moto's own.
"""

# ruff: noqa: N802, N815 - rules are found by the names that AWS gives its operations
from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import datetime, timedelta
from types import SimpleNamespace
from urllib.parse import quote
from xml.sax.saxutils import escape

import xmltodict
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from moto.core.utils import iso_8601_datetime_without_milliseconds_s3 as s3_time
from moto.kms.models import Key, kms_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.s3.models import FakeDeleteMarker, s3_backends

REGION = "us-east-1"
ACCOUNT = "123456789012"
ED25519 = "ECC_NIST_EDWARDS25519"
MAX_MESSAGE_BYTES = 4_096  # KMS, API reference of Sign
MAX_ITEM_BYTES = 400 * 1024  # DynamoDB, "Constraints"
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
TOKEN_LIFE = timedelta(minutes=10)
PAGE = 50  # CloudTrail LookupEvents
FIND = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}

# S3's sub-resources: query parameter, and what they are called in names of operations.
OF_BUCKET = {
    "versioning": "BucketVersioning",
    "object-lock": "ObjectLockConfiguration",
    "policy": "BucketPolicy",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "replication": "BucketReplication",
    "publicAccessBlock": "PublicAccessBlock",
    "tagging": "BucketTagging",
    "location": "BucketLocation",
}
OF_OBJECT = {"retention": "ObjectRetention", "legal-hold": "ObjectLegalHold", "tagging": "Tagging"}


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def s3_operation(method, bucket, key, query, headers):  # noqa: PLR0911 - a table
    """The API's name of a request."""
    verb = FIND.get(method, method.title())
    for name, called in (OF_OBJECT if key else OF_BUCKET).items():
        if name in query:
            return verb + called
    if key:
        if "uploads" in query:
            return "CreateMultipartUpload"
        if "uploadId" in query:
            parts = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload"}
            return parts.get(method, "AbortMultipartUpload")
        return "CopyObject" if "x-amz-copy-source" in headers else f"{verb}Object"
    if not bucket:
        return "ListBuckets"
    if method == "POST" and "delete" in query:
        return "DeleteObjects"
    if method == "GET":
        return "ListObjectVersions" if "versions" in query else "ListObjectsV2"
    return "CreateBucket" if method == "PUT" else f"{verb}Bucket"


def refused(call, status, code, message):
    """An error in the form of its service's protocol."""
    from support.aws import Answer

    request = str(uuid.uuid4())
    if call.service == "s3":
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>'
            f"{escape(message)}</Message><RequestId>{request}</RequestId></Error>"
        )
        headers = {"Content-Type": "application/xml", "x-amz-request-id": request}
        return Answer(status, b"" if call.method == "HEAD" else text.encode(), headers)
    if "x-amz-target" in call.headers:
        return _json({"__type": code, "message": message}, status, request)
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}"
        f"</Message></Error><RequestId>{request}</RequestId></ErrorResponse>"
    )
    return Answer(status, text.encode(), {"Content-Type": "text/xml"})


def _json(value, status=200, request=None):
    from support.aws import Answer

    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-requestid": request or str(uuid.uuid4()),
    }
    return Answer(status, json.dumps(value).encode(), headers)


class Ed25519Private:
    """In place of moto's private keys."""

    def __init__(self):
        self.private_key = ed25519.Ed25519PrivateKey.generate()

    def sign(self, message, signing_algorithm):
        return self.private_key.sign(message)

    def verify(self, message, signature, signing_algorithm):
        try:
            self.private_key.public_key().verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def public_key(self):
        return self.private_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class Ed25519Key(Key):
    signing_algorithms = property(lambda _: ["ED25519_SHA_512", "ED25519_PH_SHA_512"])


class Strict:
    """Answers a Call: itself where moto is wrong, else through moto."""

    def __init__(self, server):
        self._server = server
        self._tokens = {}
        self._signed = []
        self.trail = []  # events that a test adds, as LookupEvents gives them, the newest last

    def reset(self):
        moto_api_backend.reset()
        self._tokens.clear()
        self._signed.clear()
        self.trail.clear()

    def answer(self, call):
        rule = getattr(self, f"_{call.service}_{call.operation}", None)
        try:
            answer = rule(call) if rule else None
        except Refused as error:
            return refused(call, error.status, error.code, error.message)
        return call.passed_on() if answer is None else answer

    # S3

    def _bucket(self, call):
        bucket = s3_backends[ACCOUNT]["aws"].buckets.get(call.bucket)
        if bucket is None:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        return bucket

    def _version(self, call):
        versions = self._bucket(call).keys.getlist(call.key, default=[])
        wanted = call.query.get("versionId")
        for version in reversed(versions):
            if wanted in (None, version.version_id):
                if isinstance(version, FakeDeleteMarker):
                    raise Refused(405, "MethodNotAllowed", "a delete marker")
                return version
        raise Refused(404, "NoSuchKey" if wanted is None else "NoSuchVersion", "not there")

    def _s3_PutObjectRetention(self, call):
        bucket, version = self._bucket(call), self._version(call)
        if not bucket.object_lock_enabled:
            message = "Bucket is missing Object Lock Configuration"
            raise Refused(400, "InvalidRequest", message)
        said = xmltodict.parse(call.body).get("Retention") or {}
        mode, until = said.get("Mode"), said.get("RetainUntilDate")
        now = self._server.now()
        if version.lock_mode and _moment(version.lock_until) > now:
            shorter = until is None or _moment(until) < _moment(version.lock_until)
            bypass = call.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
            kept = version.lock_mode == "COMPLIANCE" or not bypass
            if kept and (shorter or (version.lock_mode, mode) == ("COMPLIANCE", "GOVERNANCE")):
                message = "Access Denied because object protected by object lock."
                raise Refused(403, "AccessDenied", message)

    def _s3_GetObjectRetention(self, call):
        from support.aws import Answer

        version = self._version(call)
        if not version.lock_mode:
            message = "The specified object does not have a ObjectLock configuration"
            raise Refused(404, "NoSuchObjectLockConfiguration", message)
        text = (
            '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Mode>{version.lock_mode}</Mode>"
            f"<RetainUntilDate>{version.lock_until}</RetainUntilDate></Retention>"
        )
        return Answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _s3_GetObjectLegalHold(self, call):
        if self._version(call).lock_legal_status is None:
            message = "The specified object does not have a ObjectLock configuration"
            raise Refused(404, "NoSuchObjectLockConfiguration", message)

    def _s3_DeleteObject(self, call):
        """A key that never was gets a delete marker too, in a bucket with versions."""
        from support.aws import Answer

        bucket = self._bucket(call)
        if not bucket.is_versioned or "versionId" in call.query or call.key in bucket.keys:
            return None
        marker = FakeDeleteMarker(SimpleNamespace(name=call.key))
        bucket.keys[call.key] = marker
        headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version_id}
        return Answer(204, b"", headers)

    def _s3_CreateMultipartUpload(self, call):
        if self._bucket(call).object_lock_enabled:
            message = "multipart uploads to a bucket with Object Lock are not served here"
            raise Refused(501, "NotImplemented", message)

    def _s3_PutBucketVersioning(self, call):
        if self._bucket(call).object_lock_enabled and b"Suspended" in call.body:
            message = "An Object Lock configuration is present on this bucket"
            raise Refused(409, "InvalidBucketState", message)

    def _s3_ListObjectVersions(self, call):
        from support.aws import Answer

        bucket, query = self._bucket(call), call.query
        prefix, size = query.get("prefix", ""), min(int(query.get("max-keys", 1000)), 1000)
        marker = (query.get("key-marker", ""), query.get("version-id-marker", ""))
        found = [
            (key, version, number == 0)
            for key in sorted(bucket.keys, key=str.encode)
            if key.startswith(prefix) and (key > marker[0] or (marker[1] and key == marker[0]))
            for number, version in enumerate(reversed(bucket.keys.getlist(key)))
        ]
        if marker[1]:
            names = [(key, str(version.version_id)) for key, version, _ in found]
            found = found[names.index(marker) + 1 :] if marker in names else found
        page, rest = found[:size], found[size:]
        last = page[-1][:2] if rest else None
        text = "".join(_listed(*entry) for entry in page)
        if last:
            text += f"<NextKeyMarker>{_quoted(last[0])}</NextKeyMarker>"
            text += f"<NextVersionIdMarker>{last[1].version_id}</NextVersionIdMarker>"
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{call.bucket}</Name><Prefix>{_quoted(prefix)}</Prefix><MaxKeys>{size}</MaxKeys>"
            f"<EncodingType>url</EncodingType><IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
            f"{text}</ListVersionsResult>"
        )
        return Answer(200, text.encode(), {"Content-Type": "application/xml"})

    # KMS

    def _key(self, call):
        """The key of a cryptographic operation, in a state that allows it."""
        backend = kms_backends[ACCOUNT][REGION]
        key_id = backend.any_id_to_key_id(call.json["KeyId"])
        key = backend.keys.get(key_id)
        if key is None:
            raise Refused(400, "NotFoundException", f"Key '{key_id}' does not exist")
        if key.key_state == "Disabled":
            raise Refused(400, "DisabledException", f"{key.arn} is disabled.")
        if key.key_state != "Enabled":
            message = f"{key.arn} is pending deletion."
            raise Refused(400, "KMSInvalidStateException", message)
        return key

    def _kms_CreateKey(self, call):
        said = call.json
        if said.get("KeySpec") != ED25519:
            return None
        answer = call.passed_on(json.dumps({**said, "KeySpec": "ECC_NIST_P256"}).encode())
        key = kms_backends[ACCOUNT][REGION].keys[json.loads(answer.body)["KeyMetadata"]["KeyId"]]
        key.__class__ = Ed25519Key
        key.key_spec, key.private_key = ED25519, Ed25519Private()
        return _json(key.to_dict())

    def _named_by_id(self, call):
        """Moto knows keys by their ids alone in these operations, AWS by ARNs too."""
        said = call.json
        said["KeyId"] = said["KeyId"].rpartition("/")[2]
        return call.passed_on(json.dumps(said).encode())

    _kms_DisableKey = _kms_EnableKey = _named_by_id
    _kms_ScheduleKeyDeletion = _kms_CancelKeyDeletion = _named_by_id

    def _kms_GetPublicKey(self, call):
        key = self._key(call)
        if key.key_spec == "SYMMETRIC_DEFAULT":
            raise Refused(400, "UnsupportedOperationException", f"{key.arn} is symmetric")
        said = {
            "KeyId": key.arn,
            "KeySpec": key.key_spec,
            "CustomerMasterKeySpec": key.key_spec,
            "KeyUsage": key.key_usage,
            "PublicKey": base64.b64encode(key.private_key.public_key()).decode(),
            "SigningAlgorithms": key.signing_algorithms,
        }
        return _json(said)

    def _kms_Sign(self, call):
        said, key = call.json, self._key(call)
        message = base64.b64decode(said["Message"])
        algorithm, kind = said["SigningAlgorithm"], said.get("MessageType", "RAW")
        if not 0 < len(message) <= MAX_MESSAGE_BYTES:
            text = (
                "1 validation error detected: Value at 'message' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_MESSAGE_BYTES}"
            )
            raise Refused(400, "ValidationException", text)
        if key.key_usage != "SIGN_VERIFY" or algorithm not in key.signing_algorithms:
            text = f"{key.arn} key usage is {key.key_usage}: {algorithm} is not valid for it."
            raise Refused(400, "InvalidKeyUsageException", text)
        signature = _signature(key, message, algorithm, kind)
        request = str(uuid.uuid4())
        self._signed.append((self._server.now(), request, key.arn, algorithm, kind))
        answer = {
            "KeyId": key.arn,
            "Signature": base64.b64encode(signature).decode(),
            "SigningAlgorithm": algorithm,
        }
        return _json(answer, request=request)

    # CloudTrail

    def _cloudtrail_LookupEvents(self, call):
        said = call.json
        attributes = said.get("LookupAttributes", [])
        if len(attributes) > 1:
            raise Refused(400, "InvalidLookupAttributesException", "at most one attribute")
        size = said.get("MaxResults", PAGE)
        if not 1 <= size <= PAGE:
            raise Refused(400, "InvalidMaxResultsException", f"from 1 to {PAGE}")
        events = [*self.trail, *(_event(*signed) for signed in self._signed)]
        events.sort(key=lambda one: one["EventTime"])
        events.reverse()
        events = [e for e in events if _matches(e, attributes)]
        low, high = said.get("StartTime"), said.get("EndTime")
        events = [
            e
            for e in events
            if (low is None or e["EventTime"] >= low) and (high is None or e["EventTime"] <= high)
        ]
        try:
            start = int(said.get("NextToken", "token-0").removeprefix("token-"))
        except ValueError:
            raise Refused(400, "InvalidNextTokenException", "not a token") from None
        answer = {"Events": events[start : start + size]}
        if len(events) > start + size:
            answer["NextToken"] = f"token-{start + size}"
        return _json(answer)

    # DynamoDB

    def _dynamodb_TransactWriteItems(self, call):
        said = call.json
        sizes = [
            _item_bytes(write["Put"]["Item"]) for write in said["TransactItems"] if "Put" in write
        ]
        if any(size > MAX_ITEM_BYTES for size in sizes):
            text = "Item size has exceeded the maximum allowed size"
            raise Refused(400, "ValidationException", text)
        if sum(sizes) > MAX_TRANSACTION_BYTES:
            text = "Transaction request cannot be larger than 4 MB"
            raise Refused(400, "ValidationException", text)
        token = said.get("ClientRequestToken")
        if token is None:
            return None
        content = hashlib.sha256(json.dumps(said["TransactItems"], sort_keys=True).encode())
        known = self._tokens.get(token)
        if known and self._server.now() - known[1] < TOKEN_LIFE:
            if known[0] != content.digest():
                text = "The request uses the same client token with different content."
                raise Refused(400, "IdempotentParameterMismatchException", text)
            return _json({})
        answer = call.passed_on()
        if answer.status == 200:
            self._tokens[token] = (content.digest(), self._server.now())
        return answer


def _moment(text):
    return datetime.fromisoformat(text)


def _quoted(text):
    return quote(text, safe="/")


def _listed(key, version, latest):
    marker = isinstance(version, FakeDeleteMarker)
    tag = "DeleteMarker" if marker else "Version"
    size = "" if marker else f"<Size>{version.size}</Size><ETag>{escape(version.etag)}</ETag>"
    return (
        f"<{tag}><Key>{_quoted(key)}</Key><VersionId>{version.version_id or 'null'}</VersionId>"
        f"<IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>{s3_time(version.last_modified)}</LastModified>{size}</{tag}>"
    )


def _signature(key, message, algorithm, kind):
    if algorithm == "ED25519_SHA_512" and kind != "RAW":
        text = "ED25519_SHA_512 takes MessageType RAW"
        raise Refused(400, "ValidationException", text)
    if algorithm == "ED25519_PH_SHA_512":
        raise Refused(400, "UnsupportedOperationException", "not served here")
    if kind == "RAW" or not algorithm.startswith("ECDSA_SHA_"):
        return key.private_key.sign(message, algorithm)
    hash_ = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[-3:]]()
    if len(message) != hash_.digest_size:
        raise Refused(400, "ValidationException", "Digest is invalid length for algorithm")
    return key.private_key.private_key.sign(message, ec.ECDSA(utils.Prehashed(hash_)))


def _event(at, request, arn, algorithm, kind):
    """One Sign, as LookupEvents gives it. Source: KMS developer guide, "Sign" log entry."""
    event_id = str(uuid.uuid5(uuid.NAMESPACE_URL, request))
    whole = at.replace(microsecond=0)
    identity = {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:scan",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/scan/scan",
        "accountId": ACCOUNT,
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    }
    told = {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": whole.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "kms.amazonaws.com",
        "eventName": "Sign",
        "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.0",
        "userAgent": "Botocore",
        "requestParameters": {"keyId": arn, "signingAlgorithm": algorithm, "messageType": kind},
        "responseElements": None,
        "requestID": request,
        "eventID": event_id,
        "readOnly": True,
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    return {
        "EventId": event_id,
        "EventName": "Sign",
        "ReadOnly": "true",
        "AccessKeyId": identity["accessKeyId"],
        "EventTime": whole.timestamp(),
        "EventSource": "kms.amazonaws.com",
        "Username": "scan",
        "Resources": [{"ResourceType": "AWS::KMS::Key", "ResourceName": arn}],
        "CloudTrailEvent": json.dumps(told),
    }


def _matches(event, attributes):
    for attribute in attributes:
        key, value = attribute["AttributeKey"], attribute["AttributeValue"]
        if key == "ResourceName":
            if value not in [resource["ResourceName"] for resource in event["Resources"]]:
                return False
        elif event.get(key) != value:
            return False
    return True


def _item_bytes(item):
    """Names and values, as DynamoDB counts them, for strings, numbers and binaries."""
    total = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        size = len(base64.b64decode(value)) if kind == "B" else len(str(value).encode())
        total += len(name.encode()) + size
    return total
