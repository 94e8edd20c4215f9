"""What every script needs before it imports anything: the checkout on the import path, from whatever folder it is run.

And threads of GNU's OpenMP that wait for each other for microseconds and then sleep. They would spin for longer than a
system lets them run, which on cores that others use as well makes boosting take many times as long: two threads beside
two busy processes on two cores took 36 s for 50,000 rows, and 1.6 s so; on idle ones 0.7 and 0.8.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
