"""Effective grants: a PostgreSQL snapshot → who may do what, after membership and all else.

Snapshot → ``inputs`` (roles, memberships, owners, entries of access lists) → ``graph`` (closures of
the role graph, sets as integers) → ``closure`` (questions), ``compare`` (two sides), ``changes``
(what a change comes to). Nothing is stored: everything is derived from a snapshot when it is asked.

Source of the rules: PostgreSQL documentation, "Privileges", "Role Membership", "Predefined Roles";
src/backend/utils/adt/acl.c (roles_is_member_of, aclmask), src/backend/catalog/aclchk.c.
"""
