"""Everything that speaks to PostgreSQL, and nothing that judges what it says.

Arrow: imports ``drift`` and ``kernel``; ``snapshot.PostgresSource`` implements
``drift.source.Source``. What the scanning role needs stands in docs/targets/postgres.md.
"""
