"""The commands of `python pipelines/qtickets.py`: options, settings, one call, what is printed."""
