"""Everything that speaks to PostgreSQL, and nothing that judges what it says.

Arrow: imports the flows and ``kernel``; implements ``drift.scan.Source``.
"""
