"""From data to a saved model: read, find the columns, split, build, fit, evaluate, promote, report.

Each module is one stage; ``pipeline`` wires them in that order. Nothing here knows of HTTP.
"""
