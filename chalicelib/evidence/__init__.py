"""Evidence: append → checkpoint → verify, a transparency log after the C2SP specifications. Pure.

Arrow: imports ``kernel`` only. Storage comes in through the ports in ``kernel.store``.
"""
