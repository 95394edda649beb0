"""Attacks on masking views: what is tried as a masked lease, and how what comes back is judged.

Answers of a server + clear values → held, leaked or untold. Nothing is run here, and no value gets
into what is told.
"""
