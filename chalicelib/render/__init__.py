"""Render: a verified packet as a report for people, and as files for other programs."""
