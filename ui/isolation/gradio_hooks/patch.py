"""Puts something in the place of what Gradio has."""

from collections.abc import Callable
from typing import Any


def replace(owner: Any, name: str, value: object) -> None:
    """Raises: AttributeError: Gradio has nothing of that name."""
    getattr(owner, name)
    setattr(owner, name, value)


def always(kind: type, name: str, value: Callable[[Any], Any]) -> None:
    """An attribute that no instance can have another value of."""
    setattr(kind, name, property(value, lambda instance, ignored: None))
