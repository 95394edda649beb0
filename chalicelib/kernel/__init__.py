"""The shared vocabulary: errors, canonical bytes, records, clocks, names, keys, ports. Pure.

Arrow: nothing in this package imports any other part of Holdfast, and nothing here performs I/O.
"""
