"""What every script needs before it imports anything: the checkout on the import path, from whatever folder it is run.

And threads of OpenMP that sleep while they wait for each other. They would spin, which on cores that others use as well
makes boosting take many times as long (50,000 rows on two busy cores: 67 s, and 3 s asleep).
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
