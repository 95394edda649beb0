"""The ports on one machine: a write-once directory, SQLite, a key file, file locks.

Arrow: imports the flows and ``kernel``; implements the ports of ``kernel.store``.
"""
