"""Fail with a message unless this Python is in the range that pyproject.toml names.

Usage: PYTHON deploy/check_python.py COMMAND, where COMMAND followed by the name of a Python, such as
`make PYTHON=`, is what the message suggests. Runs on Python 2.7 too, to tell its users what is wrong.
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
    sys.exit(
        "error: Python 3.%d to 3.%d is needed, and %s is Python %s. Try: %spython3.%d"
        % (
            oldest,
            too_new - 1,
            sys.executable,
            ".".join(str(number) for number in sys.version_info[:3]),
            " ".join(sys.argv[1:]),
            oldest,
        )
    )
