"""Makes a policy a plugin: decodes settings and memory, and says where an error happened."""

import copy
import json
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Tuple, Type

from componentize_py_types import Err
from wit_world.imports import types

from .proposal import Proposal
from .window import Window

_PACKAGE = __name__.rpartition(".")[0]


class Policy:
    """What a policy extends; every member but ``evaluate`` is a constant."""

    #: Stable name, for example ``queue-watch``.
    NAME: str = ""
    VERSION: str = "0.1.0"
    #: One line that says what it is for.
    PURPOSE: str = ""
    #: Least time between two evaluations; 0: whenever there is news.
    EVERY_MS: int = 0
    #: How much of the past it wants to see: length of a step in milliseconds, number of steps.
    PAST: Optional[Tuple[int, int]] = None
    #: JSON Schema of each setting by its name, or of the whole object; its defaults are filled in.
    SETTINGS: Dict[str, Any] = {}
    #: What it remembers at first. JSON; unreadable memory becomes this again.
    MEMORY: Any = {}

    @staticmethod
    def evaluate(settings: Any, window: Window, memory: Any) -> List[Proposal]:
        """Decides. ``settings`` has the settings as attributes; ``memory`` is changed in place."""
        raise NotImplementedError("the policy has no evaluate(settings, window, memory)")


def plugin(policy: Type[Policy]) -> type:
    """Makes a policy the plugin of its module: ``WitWorld = plugin(QueueWatch)``."""
    schema = _settings_schema(policy.SETTINGS)

    class WitWorld:
        def describe(self) -> types.Description:
            past = policy.PAST
            return types.Description(
                name=policy.NAME,
                version=policy.VERSION,
                purpose=policy.PURPOSE,
                every_ms=policy.EVERY_MS,
                past=types.PastSpan(step_ms=past[0], steps=past[1]) if past else None,
                settings_schema=json.dumps(schema),
            )

        def evaluate(self, window: types.Window, settings: str, memory: bytes) -> types.Answer:
            try:
                return _decide(policy, schema, window, settings, memory)
            except Exception as error:  # noqa: BLE001, every error is the contract's error
                raise Err(_explain(error)) from None

    return WitWorld


def _decide(
    policy: Type[Policy],
    schema: Dict[str, Any],
    columns: types.Window,
    settings: str,
    blob: bytes,
) -> types.Answer:
    memory = _remembered(blob, policy.MEMORY)
    chosen = _as_attributes(_with_defaults(schema, json.loads(settings)))
    proposals = policy.evaluate(chosen, Window(columns), memory)
    if not isinstance(proposals, list):
        raise TypeError("evaluate() must return a list of proposals")
    text = json.dumps(memory, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return types.Answer([_to_contract(one) for one in proposals], text.encode())


def _to_contract(proposal: Any) -> types.Proposal:
    if not isinstance(proposal, Proposal):
        raise TypeError(f"evaluate() returned a {type(proposal).__name__}, which is no proposal")
    return proposal.to_contract()


def _settings_schema(settings: Dict[str, Any]) -> Dict[str, Any]:
    """Properties alone become the schema of an object that has these and no others."""
    if isinstance(settings.get("type"), str):
        return settings
    return {"type": "object", "properties": settings, "additionalProperties": False}


def _with_defaults(schema: Dict[str, Any], value: Dict[str, Any]) -> Dict[str, Any]:
    for name, definition in schema.get("properties", {}).items():
        is_object = definition.get("type") == "object"
        if name not in value:
            if "default" in definition:
                value[name] = copy.deepcopy(definition["default"])
            elif is_object:
                value[name] = {}
        if is_object:
            _with_defaults(definition, value[name])
    return value


def _as_attributes(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: _as_attributes(one) for name, one in value.items()})
    if isinstance(value, list):
        return [_as_attributes(one) for one in value]
    return value


def _remembered(blob: bytes, initial: Any) -> Any:
    """Memory that cannot be read, or of another shape, becomes the default."""
    try:
        read = json.loads(blob.decode())
    except ValueError:
        return copy.deepcopy(initial)
    if not isinstance(read, type(initial)):
        return copy.deepcopy(initial)
    return {**copy.deepcopy(initial), **read} if isinstance(initial, dict) else read


def _explain(error: Exception) -> str:
    """The message with the place in the author's own file."""
    place = None
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if place is None or not module.startswith(_PACKAGE):
            place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    at = f" ({place[0].rpartition('/')[2]}, line {place[1]})" if place else ""
    return f"{type(error).__name__}: {error}{at}"
