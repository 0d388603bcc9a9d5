"""Writes a Poolwarden policy plugin in Python: a class for its settings and one function.

The names are those of the Rust SDK. Numbers keep the unit in their name (``waiting_for_ms``), as in
the contract. Nothing here reads a clock, a file or the environment: the sidecar offers none.
"""

from . import log
from .plugin import Policy, plugin
from .proposal import (
    Alert,
    EndSession,
    Knob,
    LookAtSessions,
    Proposal,
    Recommendation,
    Resize,
    Severity,
    Subject,
)
from .window import (
    ChangeOutcome,
    ClientGroup,
    Condition,
    Holder,
    Past,
    Pool,
    PoolMode,
    PoolName,
    Scope,
    ScopeKind,
    Sessions,
    Window,
)

__all__ = [
    "Alert",
    "ChangeOutcome",
    "ClientGroup",
    "Condition",
    "EndSession",
    "Holder",
    "Knob",
    "LookAtSessions",
    "Past",
    "Policy",
    "Pool",
    "PoolMode",
    "PoolName",
    "Proposal",
    "Recommendation",
    "Resize",
    "Scope",
    "ScopeKind",
    "Sessions",
    "Severity",
    "Subject",
    "Window",
    "log",
    "plugin",
]
