"""Measurements. Everybody computes in one thread: the networks are small, and ratios shall compare the code."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, by whichever library is imported first
