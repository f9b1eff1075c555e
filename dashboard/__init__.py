"""The marts as one HTML file that needs nothing: no server, no network, no BI.

`data.py` reads the marts in a few queries, `page.py` puts them with styles, scripts and the chart
library into one file. What is added up, filtered and drawn happens in the browser (`script/`).
"""

from .page import write_dashboard

__all__ = ["write_dashboard"]
