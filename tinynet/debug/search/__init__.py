"""The search for the edits of a computation that reproduce somebody's numbers, all of them."""

from tinynet.debug.search.explanations import Explanation
from tinynet.debug.search.search import Diagnosis, Search

__all__ = ["Diagnosis", "Explanation", "Search"]
