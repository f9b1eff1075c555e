"""Fail with a message unless this Python is in the range that pyproject.toml names.

Usage: PYTHON deploy/check_python.py PREFIX. The message suggests PREFIX followed by the name of a
supported Python; PREFIX is `make PYTHON=`, for instance. Runs on Python 2.7 too, so that users of
an old Python see the message and not a syntax error.
"""

import io
import os
import re
import sys

project = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with io.open(os.path.join(project, "pyproject.toml"), encoding="utf-8") as file:
    limits = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$', file.read(), re.M)
if limits is None:
    sys.exit('error: requires-python in pyproject.toml is not of the form ">=3.A,<3.B"')
oldest, too_new = int(limits.group(1)), int(limits.group(2))
if not (3, oldest) <= sys.version_info[:2] < (3, too_new):
    message = "error: Python 3.{} to 3.{} is needed, and {} is Python {}. Try: {}python3.{}"
    version = ".".join(str(number) for number in sys.version_info[:3])
    suggested = " ".join(sys.argv[1:])
    sys.exit(message.format(oldest, too_new - 1, sys.executable, version, suggested, oldest))
