"""Which processor does the work."""

import torch


def pick_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is the best there is.

    Raises:
        ValueError: there is no such device, or this machine has none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used here ({reason}): try --device auto or --device cpu") from None
    return device
