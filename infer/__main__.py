"""`python -m infer photo.jpg --run runs/demo --out predictions/`: where was it taken, and how sure is that?"""

from infer.config import InferConfig
from plumbing.config import command

if __name__ == "__main__":
    command(InferConfig, "python -m infer", "infer.session:main")
