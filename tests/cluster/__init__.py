"""Tests on a replicated cluster, which the environment names; skipped without one."""
