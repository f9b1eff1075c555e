"""The marts as one HTML file that works offline: no server, no network, no BI tool.

`data.py` reads the marts in a few queries; `page.py` puts the data, the scripts, the styles and the
chart library into one file. Filters, sums and charts are made in the browser (`script/`).
"""

from .data import read_page_data
from .errors import DashboardError
from .options import PageOptions
from .page import content_policy, render, write_dashboard

__all__ = [
    "DashboardError",
    "PageOptions",
    "content_policy",
    "read_page_data",
    "render",
    "write_dashboard",
]
