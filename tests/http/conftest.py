from support.places import full, place, shared  # noqa: F401 - fixtures
