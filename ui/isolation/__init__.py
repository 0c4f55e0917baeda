"""Keeps what one signed-in person's calls make from every other person."""

from ui.isolation.documents import nodes
from ui.isolation.files import Folder
from ui.isolation.grants import Gifts
from ui.isolation.middleware import Ownership
from ui.isolation.owners import Owners

__all__ = ["Folder", "Gifts", "Owners", "Ownership", "nodes"]
