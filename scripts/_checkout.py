"""Put the checkout on the import path, so that ``python scripts/NAME.py`` finds ``app`` from any folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
