"""The tests run in a process that is tuned like that of the command."""

from pipelines.process import tune_process

tune_process()
