"""Writes features.json: the maps C3, C4 and C5 of torchvision's own ResNets, in numbers.

    pip install torch torchvision numpy
    python detector/testdata/features.py

The networks are resnet18 and resnet50 in evaluation, in float64. Their weights, and the image, come from the formula of
TestTrajectory: SplitMix64 from the hash of a tensor's name, under the name that the detector gives it. The sides of the
image are no multiples of a stride. Of each map are kept its norm, its product with a tensor by the formula, and 50
values at even distances. Made with torch 2.15.0 and torchvision 0.29.2.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

SIZE = (1, 3, 97, 130)
MAPS = {"layer2": "C3", "layer3": "C4", "layer4": "C5"}
VALUES = 50
MASK = (1 << 64) - 1


def uniform(name, shape):
    """Values between -1 and 1 that depend on the name alone."""
    seed = 0xCBF29CE484222325
    for b in name.encode():
        seed = ((seed ^ b) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return 2 * torch.from_numpy((z >> np.uint64(11)).astype(np.float64) / 2.0**53).reshape(shape) - 1


def value(name, shape):
    u = uniform(name, shape)
    if name.endswith("running_var"):
        return 1 + 0.25 * u
    if name.endswith("running_mean"):
        return 0.1 * u
    if ".bn" in name or "downsample.1" in name:
        return (0.5 if ".bn2." in name else 1) + 0.1 * u if name.endswith("weight") else 0.1 * u
    return math.sqrt(6 / (math.prod(shape) // shape[0])) * u


out = {"torch": torch.__version__, "torchvision": torchvision.__version__, "image": SIZE, "networks": {}}
for depth, build in {18: torchvision.models.resnet18, 50: torchvision.models.resnet50}.items():
    net = build(weights=None).double().eval()
    for name, v in net.state_dict().items():
        if v.is_floating_point():
            ours = "backbone.body." + name
            v.copy_(value(ours, tuple(v.shape)).float())
    with torch.no_grad():
        maps = create_feature_extractor(net, MAPS)(uniform("image", SIZE).float().double())
    out["networks"][depth] = {
        name: {
            "shape": list(m.shape),
            "norm": float(m.norm()),
            "product": float((m * uniform(name, tuple(m.shape))).sum()),
            "values": [float(f"{x:.9g}") for x in m.flatten()[:: m.numel() // VALUES][:VALUES].tolist()],
        }
        for name, m in maps.items()
    }
path = pathlib.Path(__file__).with_name("features.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
