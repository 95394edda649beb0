"""The storage ports in dictionaries: as fast as they can be, and gone with the process."""

from __future__ import annotations

import threading
from bisect import bisect_left
from contextlib import contextmanager

from chalicelib.kernel.errors import Busy, Conflict, DigestMismatch, Missing
from chalicelib.kernel.store import Document, check_key, check_writes


class MemoryWriteOnce:
    def __init__(self):
        self._objects = {}
        self._held = set()
        self.kept_days = {}
        self._lock = threading.Lock()

    def put(self, key, data, *, keep_days=0):
        check_key(key)
        with self._lock:
            if self._objects.setdefault(key, data) != data:
                raise DigestMismatch(f"{key} holds other bytes")
            self.kept_days[key] = max(keep_days, self.kept_days.get(key, 0))

    def get(self, key):
        check_key(key)
        try:
            return self._objects[key]
        except KeyError:
            raise Missing(f"there is no {key}") from None

    def list(self, prefix):
        return iter(sorted(key for key in list(self._objects) if key.startswith(prefix)))

    def hold(self, key):
        self.get(key)
        self._held.add(key)

    def release(self, key):
        self.get(key)
        self._held.discard(key)

    def held(self, key):
        self.get(key)
        return key in self._held


class MemoryDerived:
    """Keys are kept sorted: a listing costs what it finds, and not what is stored."""

    def __init__(self):
        self._objects = {}
        self._keys = []
        self._lock = threading.Lock()

    def put(self, key, data):
        check_key(key)
        with self._lock:
            if key not in self._objects:
                self._keys.insert(bisect_left(self._keys, key), key)
            self._objects[key] = data

    def get(self, key):
        check_key(key)
        return self._objects.get(key)

    def delete(self, key):
        check_key(key)
        with self._lock:
            if self._objects.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]

    def list(self, prefix):
        with self._lock:
            start = bisect_left(self._keys, prefix)
            found = []
            for at in range(start, len(self._keys)):
                if not self._keys[at].startswith(prefix):
                    break
                found.append(self._keys[at])
        return iter(found)


class MemoryDocuments:
    def __init__(self):
        self._documents = {}
        self._lock = threading.Lock()

    def get(self, key):
        return self._documents.get(key)

    def swap(self, writes):
        check_writes(writes)
        with self._lock:
            for write in writes:
                found = self._documents.get(write.key)
                if (found.version if found else 0) != write.expected:
                    raise Conflict(f"{write.key} is no longer at version {write.expected}")
            for write in writes:
                self._documents[write.key] = Document(write.expected + 1, write.value)

    def list(self, prefix):
        keys = sorted(key for key in list(self._documents) if key.startswith(prefix))
        return ((key, self._documents[key]) for key in keys)

    def purge(self):
        """What was replaced is gone."""

    def close(self):
        """Nothing is open."""


class MemoryLocks:
    """Held by one, refused to the others; whoever leaves a block as ``abandons`` keeps it held."""

    def __init__(self, *, abandons=()):
        self._held = set()
        self._lock = threading.Lock()
        self._abandons = abandons

    @contextmanager
    def hold(self, name):
        check_key(name)
        with self._lock:
            if name in self._held:
                raise Busy(f"{name} is held")
            self._held.add(name)
        try:
            yield
        except self._abandons:
            raise  # a holder that was killed gives nothing back: its lease has to run out
        except BaseException:
            self.free(name)
            raise
        else:
            self.free(name)

    def free(self, name):
        with self._lock:
            self._held.discard(name)
