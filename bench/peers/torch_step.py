#!/usr/bin/env python3
"""Times the training step of the networks of `runner bench step` in PyTorch.

A step is forward, both losses, backward and SGD's update on one fixed batch; loading and
matching are left out. Each memory layout is tried in a process of its own and the faster
one is reported. Prints one line of JSON: times in milliseconds, memory in bytes. peak_bytes is the most
that the process held beyond what it did once torch was imported (0 where the system does not tell).

mini is torch_train.py's network. r18 and r50 have torchvision's ResNet with frozen norm, the
same pyramid of 256 channels, P6 from C5, and bare heads; everything but the norms learns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch


def memory(key):
    """A line of /proc/self/status in bytes."""
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith(key):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


BARE = memory("VmRSS:")

from torch_train import RetinaNet, Shape, assign, losses, make_anchors, optimizer  # noqa: E402

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
WIDTHS = {"r18": (64, 128, 256, 512), "r50": (256, 512, 1024, 2048)}


class DeepBody(torch.nn.Module):
    """torchvision's ResNet with frozen norm; returns C3, C4, C5."""

    def __init__(self, model):
        super().__init__()
        from torchvision.models import resnet
        from torchvision.ops import FrozenBatchNorm2d

        net = {"r18": resnet.resnet18, "r50": resnet.resnet50}[model](norm_layer=FrozenBatchNorm2d)
        del net.fc
        self.net = net
        last = "bn2.weight" if model == "r18" else "bn3.weight"
        for name, value in net.named_buffers():
            if name.startswith("layer") and name.endswith(last):
                value.fill_(0.3)  # with 1 the activations of random weights double with every block

    def forward(self, x):
        n = self.net
        x = n.maxpool(n.relu(n.bn1(n.conv1(x))))
        c3 = n.layer2(n.layer1(x))
        c4 = n.layer3(c3)
        return c3, c4, n.layer4(c4)


def build(model):
    if model == "mini":
        net = RetinaNet(Shape())
    else:
        net = RetinaNet(Shape(widths=WIDTHS[model], fpn=256, group_channels=0))
        net.backbone["body"] = DeepBody(model)
    for head in net.head.values():
        for name, p in head.named_parameters():
            if name.endswith("weight") and p.dim() == 4:
                torch.nn.init.normal_(p, std=0.01)
    torch.nn.init.constant_(net.head["classification_head"].cls_logits.bias, -4.595)  # prior .01
    return net


def fixed_batch(model, n, px, classes, generator):
    """Random pixels; objects of 12 to 60 % of the side: two or three an image for mini, else five."""
    anchors, _ = make_anchors(px, px, base=2.0 if model == "mini" else 4.0)
    labels, targets = [], []
    for i in range(n):
        m = 2 + i % 2 if model == "mini" else 5
        side = px * (0.12 + 0.48 * torch.rand(m, 1, generator=generator)).expand(m, 2)
        corner = torch.rand(m, 2, generator=generator) * (px - side)
        kinds = torch.randint(classes, (m,), generator=generator)
        label, target = assign(anchors, torch.cat([corner, corner + side], 1), kinds)
        labels.append(label)
        targets.append(target)
    return torch.randn(n, 3, px, px, generator=generator), torch.stack(labels), torch.stack(targets)


def time_steps(a):
    """Returns the times of the measured steps."""
    layout = LAYOUTS[a.layout]
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = build(a.model).to(a.device, memory_format=layout)
    net.train()
    opt = optimizer(net, 0.0001)
    x, labels, targets = (t.to(a.device) for t in fixed_batch(a.model, a.batch, a.px, net.shape.classes, generator))
    x = x.contiguous(memory_format=layout)
    run = torch.compile(net) if a.compile else net
    times = []
    for i in range(a.warmup + a.steps):
        started = time.perf_counter()
        cls, box, _ = losses(*run(x), labels, targets, 2.0, 0.25)
        opt.zero_grad()
        (cls + box).backward()
        opt.step()
        if a.device.startswith("cuda"):
            torch.cuda.synchronize()
        if i >= a.warmup:
            times.append(1000 * (time.perf_counter() - started))
    if not torch.isfinite(cls + box):
        raise SystemExit("the loss is not finite")
    return times


def measure(a):
    """Prints one layout's line."""
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)
    t = time_steps(a)
    peak = memory("VmHWM:")
    line = {
        "model": a.model,
        "px": a.px,
        "batch": a.batch,
        "threads": a.threads,
        "steps": a.steps,
        "ms": {k: round(v, 2) for k, v in (("median", statistics.median(t)), ("min", min(t)), ("max", max(t)))},
        "peak_bytes": peak - BARE if peak else 0,
        "bare_bytes": BARE,
        "layout": a.layout,
        "compile": a.compile,
        "device": a.device,
        "torch": torch.__version__,
    }
    print(json.dumps(line))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", choices=("mini", "r18", "r50"), default="mini")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, help="images (default 16 for mini, 2 for the others)")
    parser.add_argument("--steps", type=int, default=20, help="timed, in each layout")
    parser.add_argument("--warmup", type=int, default=3, help="untimed steps before")
    parser.add_argument("--layout", choices=(*LAYOUTS, "best"), default="best", help="of tensors in memory")
    parser.add_argument("--compile", action="store_true", help="by torch.compile; needs a C++ compiler on a CPU")
    a = parser.parse_args()
    a.batch = a.batch or (16 if a.model == "mini" else 2)
    if a.layout != "best":
        measure(a)
        return
    runs = []
    for layout in LAYOUTS:
        out = subprocess.run([sys.executable, *sys.argv, "--layout", layout], stdout=subprocess.PIPE, check=True)
        runs.append(json.loads(out.stdout))
    best = min(runs, key=lambda r: r["ms"]["median"])
    best["median_by_layout"] = {r["layout"]: r["ms"]["median"] for r in runs}
    print(json.dumps(best))


if __name__ == "__main__":
    main()
