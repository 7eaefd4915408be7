"""Find the first number of somebody's own network that is wrong, and why (``tn.debug``)."""

from tinynet.debug.compare import Difference, Report, compare
from tinynet.debug.own_code import compare_gradients
from tinynet.debug.variables import variables
from tinynet.debug.watch import Mismatch, watch

__all__ = ["Difference", "Mismatch", "Report", "compare", "compare_gradients", "variables", "watch"]
