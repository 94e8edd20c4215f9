"""The process side of serving: what runs requests, under gunicorn."""
