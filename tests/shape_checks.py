"""The run-time checker behind the shapes in signatures (tests only)."""

from beartype import BeartypeConf, beartype

# An int is welcome where a float is declared, as in type checkers.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
