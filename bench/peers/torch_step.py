#!/usr/bin/env python3
"""Times the training step of the mini detector in PyTorch.

A step is forward, both losses, backward and SGD's update on one fixed batch of 128 px
images; loading and matching are left out. Both memory layouts are tried and
the faster one is reported. Prints one line of JSON, times in milliseconds.
"""

import argparse
import json
import statistics
import time

import torch

from torch_train import RetinaNet, Shape, assign, losses, make_anchors, optimizer

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def fixed_batch(n, px, classes, generator):
    """Random pixels; two or three objects an image, of 12 to 60 % of its side."""
    anchors, _ = make_anchors(px, px)
    labels, targets = [], []
    for i in range(n):
        m = 2 + i % 2
        side = px * (0.12 + 0.48 * torch.rand(m, 1, generator=generator)).expand(m, 2)
        corner = torch.rand(m, 2, generator=generator) * (px - side)
        kinds = torch.randint(classes, (m,), generator=generator)
        label, target = assign(anchors, torch.cat([corner, corner + side], 1), kinds)
        labels.append(label)
        targets.append(target)
    return torch.randn(n, 3, px, px, generator=generator), torch.stack(labels), torch.stack(targets)


def time_steps(layout, a):
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = RetinaNet(Shape()).to(a.device, memory_format=layout)
    torch.nn.init.constant_(net.head["classification_head"].cls_logits.bias, -4.595)  # prior .01
    net.train()
    opt = optimizer(net, 0.001)
    x, labels, targets = (t.to(a.device) for t in fixed_batch(a.batch, a.px, net.shape.classes, generator))
    x = x.contiguous(memory_format=layout)
    times = []
    for i in range(a.warmup + a.steps):
        started = time.perf_counter()
        cls, box, _ = losses(*net(x), labels, targets, 2.0, 0.25)
        opt.zero_grad()
        (cls + box).backward()
        opt.step()
        if a.device.startswith("cuda"):
            torch.cuda.synchronize()
        if i >= a.warmup:
            times.append(1000 * (time.perf_counter() - started))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20, help="timed, in each layout")
    parser.add_argument("--warmup", type=int, default=3, help="untimed steps before")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)

    runs = {name: time_steps(layout, a) for name, layout in LAYOUTS.items()}
    best = min(runs, key=lambda name: statistics.median(runs[name]))
    t = runs[best]
    ms = {"median": statistics.median(t), "min": min(t), "max": max(t)}
    line = {
        "ms": {k: round(v, 2) for k, v in ms.items()},
        "layout": best,
        "median_by_layout": {name: round(statistics.median(v), 2) for name, v in runs.items()},
        "steps": a.steps,
        "batch": a.batch,
        "px": a.px,
        "threads": a.threads,
        "device": a.device,
        "torch": torch.__version__,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
