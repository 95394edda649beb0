"""Masking: which columns a masked lease sees, and what it sees in the place of the others.

Columns of the target + the masks file → views, as data. Nothing is read or run here. A mask is an
expression of the server's own functions, so that there is nothing at the target that a lease could
call with a guess, and nothing that it could put in a function's place.
"""
