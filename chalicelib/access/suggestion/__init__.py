"""Suggestion: what a column seems to hold, from its name, its type and a sample of its values.

Columns with samples → proposals of classes, each with its reasons and how sure it is. Values are
looked at and counted; none gets into a proposal. Nothing is read or run here.
"""
