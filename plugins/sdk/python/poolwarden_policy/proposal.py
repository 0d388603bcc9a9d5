"""Builds what a policy answers with.

Each builder asks for what identifies a proposal and lets the rest be said by name.
"""

from typing import Any, List, Union

from wit_world.imports import types

#: How urgent an alert is: ``Severity.INFO``, ``WARNING``, ``CRITICAL``.
Severity = types.Severity

#: Which number of a scope a resize is about: ``Knob.POOL_SIZE``, ``MIN_POOL_SIZE``,
#: ``RESERVE_POOL_SIZE``.
Knob = types.Knob
KNOBS = [Knob.POOL_SIZE, Knob.MIN_POOL_SIZE, Knob.RESERVE_POOL_SIZE]

_Subject = Union[
    types.Subject_Target,
    types.Subject_DatabaseServer,
    types.Subject_Scope,
    types.Subject_Pool,
]


class Subject:
    """What a proposal is about."""

    TARGET = types.Subject_Target()
    DATABASE_SERVER = types.Subject_DatabaseServer()

    @staticmethod
    def scope(index: int) -> types.Subject_Scope:
        return types.Subject_Scope(index)

    @staticmethod
    def pool(index: int) -> types.Subject_Pool:
        return types.Subject_Pool(index)


class Proposal:
    """What an answer is made of."""

    def to_contract(self) -> types.Proposal:
        raise NotImplementedError


class _WithEvidence(Proposal):
    def __init__(self) -> None:
        self._evidence: List[types.Evidence] = []

    def evidence(self, name: str, value: float) -> Any:
        """Adds a number that it rests on."""
        self._evidence.append(types.Evidence(name, float(value)))
        return self


class Alert(_WithEvidence):
    """Says that a condition holds now; the sidecar keeps its life cycle."""

    def __init__(self, name: str, subject: _Subject) -> None:
        super().__init__()
        self._alert = types.Alert(
            name=name,
            subject=subject,
            severity=Severity.WARNING,
            summary="",
            hold_ms=0,
            cooldown_ms=0,
            labels=[],
            runbook="",
            evidence=self._evidence,
        )

    def severity(self, severity: types.Severity) -> "Alert":
        """Sets how urgent it is."""
        self._alert.severity = severity
        return self

    def summary(self, summary: str) -> "Alert":
        """Sets the one sentence that a person reads."""
        self._alert.summary = summary
        return self

    def hold_ms(self, hold_ms: int) -> "Alert":
        """Sets how long the condition must hold without a break before it fires."""
        self._alert.hold_ms = hold_ms
        return self

    def cooldown_ms(self, cooldown_ms: int) -> "Alert":
        """Sets how long it stays silent after it resolved."""
        self._alert.cooldown_ms = cooldown_ms
        return self

    def label(self, name: str, value: str) -> "Alert":
        """Adds a label of the author's own, for routing."""
        self._alert.labels.append((name, value))
        return self

    def runbook(self, runbook: str) -> "Alert":
        """Says where to read what to do: a path in the documentation or a URL."""
        self._alert.runbook = runbook
        return self

    def to_contract(self) -> types.Proposal:
        return types.Proposal_Alert(self._alert)


class Recommendation(_WithEvidence):
    """Tells a person what to change; stands until it is no longer proposed."""

    def __init__(self, name: str, subject: _Subject) -> None:
        super().__init__()
        self._advice = types.Recommendation(name, subject, "", "", self._evidence)

    def summary(self, summary: str) -> "Recommendation":
        """Sets the one sentence that a person reads."""
        self._advice.summary = summary
        return self

    def action(self, action: str) -> "Recommendation":
        """Sets the exact lines or commands."""
        self._advice.action = action
        return self

    def to_contract(self) -> types.Proposal:
        return types.Proposal_Recommendation(self._advice)


class Resize(_WithEvidence):
    """Asks for another size of one scope."""

    def __init__(self, scope: Any, size: int) -> None:
        super().__init__()
        self._resize = types.Resize(scope.index, Knob.POOL_SIZE, size, "", self._evidence)

    def knob(self, knob: types.Knob) -> "Resize":
        """Asks for another number of the scope than its ``pool_size``."""
        self._resize.knob = knob
        return self

    def reason(self, reason: str) -> "Resize":
        """Sets the one sentence that a person reads."""
        self._resize.reason = reason
        return self

    def to_contract(self) -> types.Proposal:
        return types.Proposal_Resize(self._resize)


class EndSession(_WithEvidence):
    """Asks to end one session that holds a server and does nothing."""

    def __init__(self, holder: Any) -> None:
        super().__init__()
        self._end = types.EndSession(holder.index, "", self._evidence)

    def reason(self, reason: str) -> "EndSession":
        """Sets the one sentence that a person reads."""
        self._end.reason = reason
        return self

    def to_contract(self) -> types.Proposal:
        return types.Proposal_EndSession(self._end)


class LookAtSessions(Proposal):
    """Asks for a look at single sessions, and says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def to_contract(self) -> types.Proposal:
        return types.Proposal_LookAtSessions(self._reason)
