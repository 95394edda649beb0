"""The way to those who anchor checkpoints from outside, and a small witness to run oneself.

Arrow: imports ``evidence`` and ``kernel``; implements the port of ``evidence.anchor``.
"""
