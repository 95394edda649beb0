"""The story that ``holdfast demo`` tells, in chapters, with the SQL and the files it is told with.

Arrow: ``stage`` runs the commands and shows them; ``lease`` and ``cloud`` are chapters on it;
``cli.demo`` has the order, and the chapters about the database.
"""
