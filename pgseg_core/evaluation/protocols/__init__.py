"""Named protocols: everything besides the weights that a number depends on, as data files."""

from pgseg_core.evaluation.protocols.protocol import (
    DEFAULT_SYSTEM,
    Protocol,
    SetRules,
    SystemRules,
    class_list_hash,
    load_protocol,
    protocol_names,
)

__all__ = [
    "DEFAULT_SYSTEM",
    "Protocol",
    "SetRules",
    "SystemRules",
    "class_list_hash",
    "load_protocol",
    "protocol_names",
]
