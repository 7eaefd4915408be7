"""Random programs of the engine's operations."""

from tinynet.testing.strategies.programs.draw import programs
from tinynet.testing.strategies.programs.program import Instruction, Program
from tinynet.testing.strategies.programs.table import KINKED, SMOOTH, Operation

__all__ = ["KINKED", "SMOOTH", "Instruction", "Operation", "Program", "programs"]
