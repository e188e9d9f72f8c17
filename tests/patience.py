"""How long a test waits for another program before it calls it hung.

No test asserts that something is fast. These limits only keep a program that hangs from holding up
the suite for ever, so they are far above what the slowest machine under load needs.
"""

PATIENCE = 1800.0
"""Seconds."""
