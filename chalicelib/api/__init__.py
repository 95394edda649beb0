"""The API's words and deeds: the types of requests and answers, and what each operation does.

Arrow: imports ``wiring`` and below. ``http`` puts it behind addresses; ``cli`` calls the same
operations, here or on another machine.
"""
