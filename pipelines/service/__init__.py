"""The resident process `serve`: webhooks, schedule, health, metrics and the page."""
