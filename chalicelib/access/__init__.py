"""Access: who asks, and what they may do. Pure: tokens, keys and policies are passed in.

Arrow: imports ``kernel``. Request → policy → decision; no input or output.
"""
