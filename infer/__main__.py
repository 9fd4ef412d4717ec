"""`python -m infer VERB`: where a photograph was taken, and how good such answers are."""

from infer.config import AppConfig, EvaluateConfig, ImportConfig, InferConfig
from plumbing.config import Commands, dispatch

COMMANDS: Commands = {
    "predict": (InferConfig, "infer.predict:main"),
    "evaluate": (EvaluateConfig, "infer.evaluate.run:main"),
    "serve": (AppConfig, "infer.serve:main"),
    "import": {"geoguessr2": (ImportConfig, "infer.importers.geoguessr2:main")},
}

if __name__ == "__main__":
    dispatch("python -m infer", COMMANDS, usual="predict")
