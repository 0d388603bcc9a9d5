"""Writes to the sidecar's log, the only thing that a policy can do besides answering."""

from wit_world.imports import host


def debug(message: object) -> None:
    """Writes what helps an author; hidden by default."""
    host.log(host.Level.DEBUG, str(message))


def info(message: object) -> None:
    """Writes a fact worth keeping."""
    host.log(host.Level.INFO, str(message))


def warn(message: object) -> None:
    """Writes that somebody should act soon."""
    host.log(host.Level.WARN, str(message))
