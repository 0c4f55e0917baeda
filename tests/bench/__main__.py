"""Every bench beside this file, one after the other, each in a process of its own: `python -m tests.bench`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    for bench in sorted(HERE.glob("[!_]*.py")):
        title, *_ = (ast.get_docstring(ast.parse(bench.read_text("utf-8"))) or bench.stem).splitlines()
        print(f"\n{title}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.bench.{bench.stem}"], cwd=HERE.parents[1], check=True)


if __name__ == "__main__":
    main()
