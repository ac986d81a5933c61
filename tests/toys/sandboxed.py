"""Runs a program in the sandbox with the limits of a test."""

from benchbench import sandbox

MEMORY = 256 << 20


def run(program: str, tier: sandbox.Tier) -> sandbox.Verdict:
    return sandbox.run(program, seconds=1, memory=MEMORY, under=tier)
