"""What people see. `main.py` is the file to replace by your own."""

import os

# Read by Gradio when it is imported: no statistics, no look-up of newer versions.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
