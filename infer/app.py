"""`python -m infer.app --run runs/demo`: a page in the browser that answers for one photograph after the other."""

from infer.config import AppConfig
from plumbing.config import command

if __name__ == "__main__":
    command(AppConfig, "python -m infer.app", "infer.serving:main")
