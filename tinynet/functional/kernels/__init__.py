"""Fused kernels: plain array code, hand-tuned, each the twin of a definition in ``tinynet.functional``."""
