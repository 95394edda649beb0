"""The API behind addresses: routes, identity, policy, errors, for API Gateway and one machine.

Arrow: imports ``api`` and below. What an operation does is in ``api``.
"""
