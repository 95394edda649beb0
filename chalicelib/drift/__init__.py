"""Drift: snapshot → diff → judge → Finding, against a baseline that people signed for. Pure.

Arrow: imports ``kernel`` only. What it needs from outside (a database to read, a place to write)
comes in through the ports in ``drift.source``, ``drift.desk`` and ``kernel.store``.
"""
