"""Where things are in the repository."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "deploy/scripts"
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
