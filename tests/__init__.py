"""The tests, in a process that is set up as the command's is."""

from pipelines.process import tune_process

tune_process()
