"""Shows the columns of a window as pools, scopes and sessions.

A view is an index and a reference to the columns; reading a number reads one cell, and nothing is
copied per pool.
"""

from enum import Enum
from typing import Any, List, NamedTuple, Optional

from wit_world.imports import host, types

from .proposal import KNOBS, Knob, Subject


class Condition(Enum):
    """What state a pool is in, as the sidecar tells it apart."""

    IDLE = "idle"
    SERVING = "serving"
    QUEUEING = "queueing"
    LOGIN_QUEUE = "login_queue"
    PAUSED = "paused"
    WEDGED = "wedged"
    STALE = "stale"


class PoolMode(Enum):
    """When a client gets a server connection, and for how long."""

    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


class ScopeKind(Enum):
    """Which of PgBouncer's settings a scope is."""

    DEFAULT = "default"
    DATABASE = "database"
    USER = "user"


class ChangeOutcome(Enum):
    """What came of a change of a size, as far as the sidecar could measure it."""

    NONE = "none"
    MEASURING = "measuring"
    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    INCONCLUSIVE = "inconclusive"


_CONDITIONS = list(Condition)
_MODES = list(PoolMode)
_KINDS = list(ScopeKind)
_OUTCOMES = list(ChangeOutcome)
_STATES = ["unknown", "active", "idle_in_transaction", "idle"]


def _coded(names: List[Any], code: int, otherwise: Any) -> Any:
    return names[code] if code < len(names) else otherwise


def _cell(column: str, meaning: str) -> Any:
    # A function that is made for one column is a fifth faster than looking its name up.
    scope: dict = {}
    exec(f"def get(row): return row._columns.{column}[row.index]", scope)
    return property(scope["get"], doc=meaning)


class _Row:
    __slots__ = ("_window", "_columns", "index")

    def __init__(self, window: "Window", columns: Any, index: int) -> None:
        self._window = window
        self._columns = columns
        #: Position in the window, for a table of one's own.
        self.index = index


class PoolName(NamedTuple):
    """A pool's identity within its target."""

    database: str
    user: str

    def __str__(self) -> str:
        return f"{self.database}/{self.user}"


class Pool(_Row):
    """A pool of the window."""

    __slots__ = ()

    def subject(self) -> types.Subject_Pool:
        """The subject of a proposal that is about this pool."""
        return Subject.pool(self.index)

    def name(self) -> PoolName:
        """Asks the sidecar; worth doing only for a pool that is written about."""
        name = host.get_pool_name(self.index)
        return PoolName(name.database, name.user)

    @property
    def scope(self) -> "Scope":
        """The setting that sizes this pool."""
        return self._window.scopes[self._columns.scope[self.index]]

    @property
    def condition(self) -> Condition:
        """What state the pool is in."""
        return _coded(_CONDITIONS, self._columns.condition[self.index], Condition.STALE)

    @property
    def mode(self) -> PoolMode:
        """When a client gets a server connection, and for how long."""
        return _coded(_MODES, self._columns.mode[self.index], PoolMode.SESSION)

    cl_active: int = _cell("cl_active", "Clients that are linked to a server or idle.")
    cl_waiting: int = _cell("cl_waiting", "Clients that wait for a server.")
    sv_active: int = _cell("sv_active", "Servers that are busy.")
    sv_idle: int = _cell("sv_idle", "Servers that are open and not busy.")
    sv_login: int = _cell("sv_login", "Servers that are logging in.")
    size: int = _cell("size", "How many servers the pool may have, without the reserve.")
    reserve: int = _cell("reserve", "How many servers the reserve adds.")
    maxwait_us: int = _cell("maxwait_us", "Age of the oldest waiter; 0 while queued at login.")
    waiting_for_ms: int = _cell("waiting_for_ms", "How long somebody has been waiting.")
    full_for_ms: int = _cell("full_for_ms", "How long every server has been busy.")
    unserved_for_ms: int = _cell("unserved_for_ms", "Waiting while no transaction finished.")
    observed_for_ms: int = _cell("observed_for_ms", "How long the sidecar has known the pool.")
    utilization: float = _cell("utilization", "Busy servers divided by size, now.")
    utilization_p50: float = _cell("utilization_p50", "Its median over the long span.")
    utilization_p95: float = _cell("utilization_p95", "Its 95th percentile over the long span.")
    wait_p95_us: float = _cell("wait_p95_us", "95th percentile of maxwait over the long span.")
    busy_mean: float = _cell("busy_mean", "Mean number of busy servers over the short span.")
    busy_finished: float = _cell("busy_finished", "Servers held by finished transactions.")
    demand: float = _cell("demand", "Servers that the pool could use now.")
    demand_max_short: float = _cell("demand_max_short", "Greatest demand in the short span.")
    demand_max_long: float = _cell("demand_max_long", "Greatest demand in the long span.")
    demand_trend_per_min: float = _cell("demand_trend_per_min", "Slope of demand.")
    clients_trend_per_min: float = _cell("clients_trend_per_min", "Slope of clients.")
    transactions_per_s: float = _cell("transactions_per_s", "Transactions, short span.")
    queries_per_s: float = _cell("queries_per_s", "Queries over the short span.")
    transaction_mean_us: float = _cell("transaction_mean_us", "Mean time of a transaction.")
    query_mean_us: float = _cell("query_mean_us", "Mean time of a query.")
    wait_mean_us: float = _cell("wait_mean_us", "Mean wait for a server per transaction.")
    idle_in_transaction: int = _cell("idle_in_transaction", "Servers idle in a transaction.")
    idle_in_transaction_max_ms: int = _cell("idle_in_transaction_max_ms", "Age of the longest.")
    running: int = _cell("running", "Active backends that wait for nothing.")
    waiting_on_lock: int = _cell("waiting_on_lock", "Active backends that wait for a lock.")
    waiting_on_io: int = _cell("waiting_on_io", "Active backends that wait for I/O.")


class Scope(_Row):
    """A size scope of the window: the setting that sizes a set of pools."""

    __slots__ = ()

    def subject(self) -> types.Subject_Scope:
        """The subject of a proposal that is about this scope."""
        return Subject.scope(self.index)

    def name(self) -> str:
        """The database or user; empty for the default scope."""
        return host.get_scope_name(self.index)

    @property
    def kind(self) -> ScopeKind:
        """Which setting this is."""
        return _coded(_KINDS, self._columns.kind[self.index], ScopeKind.DEFAULT)

    @property
    def is_actionable(self) -> bool:
        """Whether the sidecar is able to change the size."""
        return self.can_change(Knob.POOL_SIZE)

    def can_change(self, knob: types.Knob) -> bool:
        """Whether the sidecar is able to change one of the scope's numbers."""
        return bool(self._columns.actionable[self.index] & (1 << KNOBS.index(knob)))

    @property
    def change(self) -> ChangeOutcome:
        """What came of the sidecar's last change of the size."""
        return _coded(_OUTCOMES, self._columns.change[self.index], ChangeOutcome.NONE)

    size: int = _cell("size", "The size now, in server connections per pool.")
    min_size: int = _cell("min_size", "Servers that are kept open while a pool has clients.")
    reserve: int = _cell("reserve", "Servers beyond the size, for who has waited long.")
    floor: int = _cell("floor", "The size below which the guard will not go.")
    ceiling: int = _cell("ceiling", "The size above which the guard will not go.")
    pool_count: int = _cell("pools", "How many pools this scope sizes.")
    change_age_ms: int = _cell("change_age_ms", "Since the last change, or since it was undone.")
    change_from: int = _cell("change_from", "The size before the last change.")
    change_to: int = _cell("change_to", "The size that it made.")


class _OfPool(_Row):
    __slots__ = ()

    @property
    def pool(self) -> Pool:
        """The pool that it belongs to."""
        return self._window.pools[self._columns.pool[self.index]]


class Holder(_OfPool):
    """A client that holds a server connection."""

    __slots__ = ()

    @property
    def state(self) -> str:
        """``unknown``, ``active``, ``idle_in_transaction`` or ``idle``."""
        return _coded(_STATES, self._columns.state[self.index], "unknown")

    @property
    def is_endable(self) -> bool:
        """Whether the sidecar is able to end it with ``EndSession``."""
        return self._columns.endable[self.index] != 0

    client: str = _cell("client", "PgBouncer's name of the client.")
    application: str = _cell("application", "Its application_name.")
    address: str = _cell("address", "Its address and port.")
    backend_pid: int = _cell("backend_pid", "Process id of the backend; 0 when unknown.")
    connected_ms: int = _cell("connected_ms", "Since the client connected.")
    request_age_ms: int = _cell("request_age_ms", "Since the client's last request.")
    state_age_ms: int = _cell("state_age_ms", "Since it began to do what it does.")
    transaction_age_ms: int = _cell("transaction_age_ms", "Since the transaction began.")
    statement_age_ms: int = _cell("statement_age_ms", "Since the last statement began.")


class ClientGroup(_OfPool):
    """All clients of a pool that share application and address."""

    __slots__ = ()

    application: str = _cell("application", "Their application_name.")
    address: str = _cell("address", "Their address, without port.")
    clients: int = _cell("clients", "How many there are.")
    holding: int = _cell("holding", "How many of them hold a server.")
    oldest_ms: int = _cell("oldest_ms", "Since the oldest of them connected.")


class Sessions:
    """Single sessions, as of the sidecar's last look."""

    def __init__(self, window: "Window", columns: types.Sessions) -> None:
        holders, groups = columns.holders, columns.groups
        self.age_ms: int = columns.age_ms
        self.truncated: bool = columns.truncated
        self.holders = [Holder(window, holders, row) for row in range(len(holders.pool))]
        self.groups = [ClientGroup(window, groups, row) for row in range(len(groups.pool))]


class PoolPast:
    """The steps of one pool: a list per column of the contract, the oldest step first."""

    def __init__(self, columns: types.Past, first: int) -> None:
        self._columns = columns
        self._first = first

    def __getattr__(self, column: str) -> Any:
        cells = getattr(self._columns, column)
        return cells[self._first : self._first + self._columns.steps]


class Past:
    """What pools did in a longer past, in equal steps."""

    def __init__(self, columns: types.Past) -> None:
        self._columns = columns
        self.from_ms: int = columns.from_ms
        self.step_ms: int = columns.step_ms
        self.steps: int = columns.steps

    def of(self, pool: Pool) -> PoolPast:
        """The past of one pool."""
        return PoolPast(self._columns, pool.index * self.steps)


class Window:
    """What the sidecar knows of one target at one moment."""

    def __init__(self, columns: types.Window) -> None:
        #: The columns as they crossed the border.
        self.columns = columns
        self.at_ms: int = columns.at_ms
        self.short_span_ms: int = columns.short_span_ms
        self.long_span_ms: int = columns.long_span_ms
        self.target: types.Target = columns.target
        self.database_server: Optional[types.DatabaseServer] = columns.database
        pools, scopes = columns.pools, columns.scopes
        self.pools: List[Pool] = [Pool(self, pools, row) for row in range(len(pools.scope))]
        self.scopes: List[Scope] = [Scope(self, scopes, row) for row in range(len(scopes.kind))]

    @property
    def past(self) -> Optional[Past]:
        """There only when ``PAST`` asks for it and the sidecar has read it."""
        return Past(self.columns.past) if self.columns.past else None

    @property
    def sessions(self) -> Optional[Sessions]:
        """There for a short while after a ``LookAtSessions``."""
        return Sessions(self, self.columns.sessions) if self.columns.sessions else None

    def label(self, name: str) -> Optional[str]:
        """One of the operator's labels."""
        return dict(self.columns.target.labels).get(name)

    def setting(self, name: str) -> Optional[str]:
        """A setting of the PgBouncer as ``SHOW CONFIG`` gives it, if it is known."""
        return host.get_setting(name)
