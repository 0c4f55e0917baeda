"""Puts something in the place of what Gradio has."""

import sys
from collections.abc import Callable
from typing import Any


def replace(owner: Any, name: str, value: object) -> None:
    """Raises: AttributeError: Gradio has nothing of that name."""
    getattr(owner, name)
    setattr(owner, name, value)


def everywhere(home: Any, name: str, value: object) -> None:
    """In each of Gradio's modules that has it from `home`.

    Raises: AttributeError: there is nothing of that name.
    """
    own = getattr(home, name)
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] == "gradio" and vars(module).get(name) is own:
            replace(module, name, value)


def always(kind: type, name: str, value: Callable[[Any], Any]) -> None:
    """An attribute that no instance can have another value of."""
    setattr(kind, name, property(value, lambda instance, ignored: None))
