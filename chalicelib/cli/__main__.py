"""``python -m chalicelib.cli``: the same as ``holdfast``."""

from chalicelib.cli import main

main()
