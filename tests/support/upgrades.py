"""A server before and after an upgrade, as snapshots made by hand."""

from __future__ import annotations

from chalicelib.drift.snapshot import Object, build

OLD, NEW = (150018, "15.18"), (170010, "17.10 (Debian 17.10-1)")
FIRST = Object("database", "template0", {"owner": "postgres", "locale_provider": "libc"})


def setting(name, value, source="default", **more):
    return Object("setting", name, {"value": value, "source": source, **more})


def server(version, *objects):
    """The objects of a server of a version: the version itself, and these."""
    number, text = version
    return [
        setting("server_version", text),
        setting("server_version_num", str(number)),
        FIRST,
        *objects,
    ]


def taken(version, *objects):
    return build(server(version, *objects))
