"""Several processes as one training: torchrun starts them, DistributedDataParallel keeps their weights equal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from infer.network.devices import pick_device
from infer.network.network import GeoNetwork
from plumbing.world import World

log = logging.getLogger(__name__)


def own_device(name: str, world: World) -> torch.device:
    """Return this process's device: with several processes, each of a machine takes the GPU of its local rank."""
    if world.size > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
        name = f"cuda:{world.local_rank}"
    device = pick_device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


@contextmanager
def process_group(world: World, device: torch.device) -> Iterator[None]:
    """Join the other processes for a while; nothing where there are none, or where they are joined already."""
    if world.size == 1 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def with_shared_norm(network: GeoNetwork, world: World, device: torch.device, frozen: bool) -> GeoNetwork:
    """Let batch norm see the photographs of all processes, where it learns and the hardware can."""
    normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    if world.size == 1 or frozen or not normed:
        return network
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    log.info("batch norm sees each process's own photographs; --optim.frozen-norm makes the run equal to one process")
    return network


def wrapped(network: GeoNetwork, world: World, device: torch.device, compiled: bool) -> nn.Module:
    """Return what is called to train: the same weights, kept equal over processes and compiled where asked."""
    forward: nn.Module = network
    if world.size > 1:
        forward = DistributedDataParallel(network, device_ids=[device.index] if device.type == "cuda" else None)
    return torch.compile(forward) if compiled else forward  # type: ignore[return-value]


def gathered(value: Any, world: World) -> list[Any]:
    """Return every process's value, by rank."""
    if world.size == 1:
        return [value]
    values: list[Any] = [None] * world.size
    distributed.all_gather_object(values, value)
    return values
