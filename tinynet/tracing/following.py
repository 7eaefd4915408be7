"""Somebody's code while it runs, line by line, and the time step of each line."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tinynet.tracing.loops import has_loops, time_step

STANDARD = sysconfig.get_path("stdlib")
PACKAGES = tuple(sysconfig.get_path(name) for name in ("purelib", "platlib"))
LIBRARIES = (STANDARD, *PACKAGES)


class Following:
    """Python tells it of each line (see ``sys.settrace``); it looks at what the line before has done.

    ``outermost`` is the code that was called first, ``now`` the time step: what a loop counts, also in the functions
    that it calls.
    """

    outermost: CodeType | None = None
    now: int | None = None

    def __init__(self) -> None:
        self.running: dict[int, tuple[int, int | None]] = {}  # by frame: the line that runs, and its time step
        self.called_at: dict[int, int | None] = {}

    def follows(self, frame: FrameType) -> bool:
        """Whether a function that is called is somebody's, and not Python's own: packages may be."""
        file = frame.f_code.co_filename
        return not is_ours(frame) and (not file.startswith(STANDARD) or file.startswith(PACKAGES))

    def after(self, frame: FrameType, line: int, time: int | None) -> None:
        """Called when a line, which ran at a time step, is done."""
        raise NotImplementedError

    def look(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Called by Python before each line, and at the beginning and the end of each function."""
        if event == "call":
            if not self.follows(frame):
                return None
            self.outermost = self.outermost or frame.f_code
            self.called_at[id(frame)] = self.now
        else:
            self.after(frame, *self.running[id(frame)])
        if event == "line" and (has_loops(frame.f_code) or frame.f_code is self.outermost):
            self.now = time_step(frame)
        elif event == "return":
            self.now = self.called_at.pop(id(frame), None)
        self.running[id(frame)] = frame.f_lineno, self.now
        return self.look


def own_line(frames: Iterable[tuple[FrameType, int]]) -> tuple[str, int]:
    """The file and the line of the last of these frames that is somebody's own, not of a library."""
    found = [(frame.f_code.co_filename, line) for frame, line in frames if not is_ours(frame)]
    own = [place for place in found if not place[0].startswith(LIBRARIES)]
    file, line = (own or found)[-1]
    return Path(file).name, line


def is_ours(frame: FrameType) -> bool:
    """Whether a frame belongs to tinynet or NumPy, and not to somebody's code."""
    return frame.f_globals.get("__name__", "").partition(".")[0] in ("tinynet", "numpy")
