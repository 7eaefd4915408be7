"""Optimisers, as PyTorch's: the same arguments, defaults and numbers.

Recorded, an update is steps of the run like any other, and cells of the workbook.
"""

from tinynet.optim.adam import Adam, AdamW
from tinynet.optim.base import Optimizer
from tinynet.optim.rmsprop import RMSprop
from tinynet.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]
