"""A stand-in of AWS on this machine, for ``holdfast demo``: moto's server in a process of its own.

It listens on 127.0.0.1 only, holds one made-up account, and forgets all of it when it ends. Beyond
moto it has CloudTrail's LookupEvents, answered from the calls that it served itself. It checks no
signatures and no permissions: it shows what Holdfast reads, not how AWS refuses.

Arrow: ``process`` starts it, for the demo; ``server`` is what runs there, over ``events`` and
``form``; ``account`` is what is in it, made by calls.
"""
