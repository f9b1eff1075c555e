"""Dashboards for BI tools, generated from one definition of datasets, measures and charts."""
