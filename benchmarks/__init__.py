"""Side-by-side measurement of this service and of its peers; run by ``scripts/bench.py``."""
