"""Program: the digest over this program's own source files, named in evidence beside its version.

An assessor asks which tool gave an answer and whether it was changed; a version does not say.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

from chalicelib import __version__


@functools.cache
def sha256() -> str:
    """SHA-256 over the version, then each file's path in the package and its digest, in order.

    Hexadecimal. What Python compiles beside the files does not count.
    """
    root = resources.files("chalicelib")
    digest = hashlib.sha256(__version__.encode())
    pending, found = [root], dict[str, bytes]()
    while pending:
        for one in pending.pop().iterdir():
            if one.is_dir():
                pending += [one] if one.name != "__pycache__" else []
            elif not one.name.endswith(".pyc"):
                path = str(one).removeprefix(str(root))
                found[path] = hashlib.sha256(one.read_bytes()).digest()
    for path in sorted(found):
        digest.update(path.encode() + b"\0" + found[path])
    return digest.hexdigest()
