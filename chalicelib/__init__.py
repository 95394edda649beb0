"""Holdfast: databases, and the AI pipelines that read them, held to the state people signed for.

Layers, top to bottom; imports point downward only and packages on one line never import each other:
``cli`` → ``wiring`` → ``settings`` → ``postgres | local`` → ``drift | evidence`` → ``kernel``.
"""

__version__ = "0.1.0"
