#!/usr/bin/env python3
"""Trains the mini detector in PyTorch, to compare learning with FocalGrid's.

The network starts from weights that `runner model mini --seed N --weights FILE`
exported, learns from the folder that `runner data synth DIR` wrote, by the recipe
of ablations/profiles/mini.yaml, and is scored by pycocotools. The order of the images
and the flips are drawn here, from --seed: equal in distribution, not in detail.

Prints one line of JSON. AP and its parts are fractions, -1 where nothing is defined; ms
is the mean wall time of a step with its batch (images are in memory) and matching.

Boxes are x1, y1, x2, y2 in pixels; N images, A anchors, K classes.
"""

import argparse
import contextlib
import json
import math
import os
import re
import struct
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STRIDES = (8, 16, 32, 64, 128)  # of P3 … P7
BACKGROUND, IGNORED = -1, -2
MEAN, STD = 0.4627, 0.2353  # of a pixel in [0, 1], the same for all channels


# Weights


def read_safetensors(path):
    """Returns {name: tensor} of a file of F32 tensors."""
    with open(path, "rb") as f:
        data = f.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: tensor {name} is {entry['dtype']}, expected F32")
        first, last = (8 + length + o for o in entry["data_offsets"])
        values = np.frombuffer(data[first:last], "<f4").reshape(entry["shape"])
        out[name] = torch.from_numpy(values.copy())
    return out


@dataclass(frozen=True)
class Shape:
    """What distinguishes one RetinaNet on basic blocks from another."""

    blocks: tuple = (2, 2, 2, 2)
    widths: tuple = (16, 32, 64, 128)
    fpn: int = 64
    classes: int = 4
    anchors: int = 9  # at each place
    group_channels: int = 8  # of the heads' group norm; 0: no norm, convolutions with bias

    @staticmethod
    def of(weights, group_channels):
        """Reads the shape off the tensors."""
        body = "backbone.body."
        if body + "layer1.0.conv3.weight" in weights:
            raise SystemExit("the backbone has bottlenecks, expected ResNet-18 or 34")
        blocks = []
        for stage in range(1, 5):
            found = {m.group(1) for n in weights if (m := re.match(rf"backbone\.body\.layer{stage}\.(\d+)\.", n))}
            blocks.append(len(found))
        anchors = weights["head.regression_head.bbox_reg.weight"].shape[0] // 4
        outputs = weights["head.classification_head.cls_logits.weight"].shape[0]
        normed = "head.classification_head.conv.0.1.weight" in weights
        return Shape(
            blocks=tuple(blocks),
            widths=tuple(weights[f"{body}layer{s}.0.conv1.weight"].shape[0] for s in range(1, 5)),
            fpn=weights["backbone.fpn.extra_blocks.p7.weight"].shape[0],
            classes=outputs // anchors,
            anchors=anchors,
            group_channels=group_channels if normed else 0,
        )


# Network. The modules are named so that the tensors are torchvision's.


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class Body(nn.Module):
    """The ResNet; returns C3, C4, C5."""

    def __init__(self, shape):
        super().__init__()
        inputs = shape.widths[0]
        self.conv1 = nn.Conv2d(3, inputs, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        for stage, (count, width) in enumerate(zip(shape.blocks, shape.widths)):
            layer = []
            for i in range(count):
                layer.append(Block(inputs, width, 2 if stage > 0 and i == 0 else 1))
                inputs = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        c3 = self.layer2(self.layer1(x))
        c4 = self.layer3(c3)
        return c3, c4, self.layer4(c4)


class Pyramid(nn.Module):
    """C3, C4, C5 to P3 … P7, with P6 from C5."""

    def __init__(self, shape):
        super().__init__()
        f = shape.fpn
        self.inner_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(c, f, 1)) for c in shape.widths[1:])
        self.layer_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(f, f, 3, 1, 1)) for _ in range(3))
        self.extra_blocks = nn.ModuleDict(
            {"p6": nn.Conv2d(shape.widths[3], f, 3, 2, 1), "p7": nn.Conv2d(f, f, 3, 2, 1)}
        )

    def forward(self, c):
        tops = [self.inner_blocks[2](c[2])]
        for i in (1, 0):
            side = self.inner_blocks[i](c[i])
            tops.insert(0, side + F.interpolate(tops[0], size=side.shape[-2:], mode="nearest"))
        p6 = self.extra_blocks["p6"](c[2])
        p7 = self.extra_blocks["p7"](F.relu(p6))
        return [layer(top) for layer, top in zip(self.layer_blocks, tops)] + [p6, p7]


class Head(nn.Module):
    def __init__(self, shape, last, outputs):
        super().__init__()
        f = shape.fpn
        tower = []
        for _ in range(4):
            if shape.group_channels:
                norm = nn.GroupNorm(f // shape.group_channels, f, eps=1e-5)
                tower.append(nn.Sequential(nn.Conv2d(f, f, 3, 1, 1, bias=False), norm, nn.ReLU()))
            else:
                tower.append(nn.Sequential(nn.Conv2d(f, f, 3, 1, 1), nn.ReLU()))
        self.conv = nn.Sequential(*tower)
        self.last = last
        setattr(self, last, nn.Conv2d(f, outputs, 3, 1, 1))

    def forward(self, x):
        return getattr(self, self.last)(self.conv(x))


class RetinaNet(nn.Module):
    """Images [N, 3, H, W] to logits [N, A, K] and deltas [N, A, 4], level by level, then y, x, anchor."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.backbone = nn.ModuleDict({"body": Body(shape), "fpn": Pyramid(shape)})
        self.head = nn.ModuleDict(
            {
                "classification_head": Head(shape, "cls_logits", shape.anchors * shape.classes),
                "regression_head": Head(shape, "bbox_reg", shape.anchors * 4),
            }
        )

    def forward(self, x):
        levels = self.backbone["fpn"](self.backbone["body"](x))

        def pack(head, values):
            maps = [self.head[head](p).permute(0, 2, 3, 1).reshape(len(x), -1, values) for p in levels]
            return torch.cat(maps, 1)

        return pack("classification_head", self.shape.classes), pack("regression_head", 4)

    def load(self, weights):
        """Takes every tensor of weights, and leaves none of its own as it was."""
        missing, unexpected = self.load_state_dict(weights, strict=False)
        missing = [n for n in missing if not n.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise SystemExit(f"weights do not fit: missing {missing}, unexpected {unexpected}")


# Boxes


def make_anchors(height, width, base=2.0, scales=3, ratios=(0.5, 1.0, 2.0)):
    """Returns anchors [A, 4] and the number on each level. A ratio is height over width."""
    boxes, counts = [], []
    for stride in STRIDES:
        cell = []
        for r in ratios:
            for k in range(scales):
                side = base * stride * 2 ** (k / scales)
                w, h = side / math.sqrt(r) / 2, side * math.sqrt(r) / 2
                cell.append((-w, -h, w, h))
        before = len(boxes)
        for y in range(-(-height // stride)):
            for x in range(-(-width // stride)):
                cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
                boxes += [(cx + a, cy + b, cx + c, cy + d) for a, b, c, d in cell]
        counts.append(len(boxes) - before)
    return torch.tensor(boxes, dtype=torch.float32), counts


def sizes(boxes):
    return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]


def overlaps(a, b):
    """IoU [len(a), len(b)]."""
    corner = torch.maximum(a[:, None, :2], b[None, :, :2])
    opposite = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (opposite - corner).clamp(min=0).prod(2)
    areas = [torch.mul(*sizes(x)) for x in (a, b)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def assign(anchors, boxes, labels):
    """Returns labels [A] and deltas [A, 4] of one image: positive from IoU .5 on, background below .4."""
    out = torch.full((len(anchors),), BACKGROUND, dtype=torch.int64)
    if len(boxes) == 0:
        return out, torch.zeros_like(anchors)
    best, which = overlaps(anchors.double(), boxes.double()).max(1)
    out[best >= 0.4] = IGNORED
    out[best >= 0.5] = labels[which[best >= 0.5]]
    mine = boxes[which]
    (aw, ah), (bw, bh) = sizes(anchors), sizes(mine)
    shift = (mine[:, :2] + mine[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return out, torch.stack([shift[:, 0] / aw, shift[:, 1] / ah, (bw / aw).log(), (bh / ah).log()], 1)


def decode(anchors, deltas):
    w, h = sizes(anchors)
    cx = (anchors[:, 0] + anchors[:, 2]) / 2 + deltas[:, 0] * w
    cy = (anchors[:, 1] + anchors[:, 3]) / 2 + deltas[:, 1] * h
    limit = math.log(1000 / 16)
    w = w * deltas[:, 2].clamp(max=limit).exp() / 2
    h = h * deltas[:, 3].clamp(max=limit).exp() / 2
    return torch.stack([cx - w, cy - h, cx + w, cy + h], 1)


# Losses


def losses(logits, deltas, labels, targets, gamma, alpha):
    """Focal and smooth L1 loss, each over the positive anchors of the batch, and their number.

    labels [N, A], targets [N, A, 4]; alpha None weights both sides with 1.
    """
    positive = labels >= 0
    count = max(1, int(positive.sum()))
    one = F.one_hot(labels.clamp(min=0), logits.shape[2]).bool() & positive[..., None]
    xt = torch.where(one, logits, -logits)
    loss = torch.exp(-gamma * F.softplus(xt)) * F.softplus(-xt)
    if alpha is not None:
        loss = loss * torch.where(one, alpha, 1 - alpha)
    loss = (loss * (labels != IGNORED)[..., None]).sum() / count
    box = F.smooth_l1_loss(deltas[positive], targets[positive], beta=0.11, reduction="sum") / count
    return loss, box, int(positive.sum())


# Data


@dataclass
class Split:
    """pixels [n, 3, H, W] bytes; an image's boxes [m, 4] and labels [m]; ids as in the file."""

    pixels: torch.Tensor
    boxes: list
    labels: list
    ids: list
    categories: list
    file: str


def read_split(folder, name):
    from PIL import Image

    file = os.path.join(folder, "annotations", f"instances_{name}.json")
    with open(file) as f:
        truth = json.load(f)
    categories = sorted(c["id"] for c in truth["categories"])
    label = {c: k for k, c in enumerate(categories)}
    objects = {im["id"]: [] for im in truth["images"]}
    for a in truth["annotations"]:
        if not a.get("iscrowd"):
            objects[a["image_id"]].append(a)
    pixels, boxes, labels = [], [], []
    for im in truth["images"]:
        w, h = im["width"], im["height"]
        with Image.open(os.path.join(folder, name, im["file_name"])) as picture:
            pixels.append(np.asarray(picture.convert("RGB")))
        if pixels[-1].shape != pixels[0].shape:
            raise SystemExit(f"{file}: image {im['id']} is {w}×{h} px; this script wants all of one size")
        b, k = [], []
        for a in objects[im["id"]]:
            x, y, bw, bh = a["bbox"]
            corners = (max(x, 0), max(y, 0), min(x + bw, w), min(y + bh, h))
            if corners[2] > corners[0] and corners[3] > corners[1]:
                b.append(corners)
                k.append(label[a["category_id"]])
        boxes.append(torch.tensor(b, dtype=torch.float32).reshape(-1, 4))
        labels.append(torch.tensor(k, dtype=torch.int64))
    stack = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
    return Split(stack, boxes, labels, [im["id"] for im in truth["images"]], categories, file)


def network_input(pixels, device, layout):
    x = (pixels.float() / 255 - MEAN) / STD
    return x.to(device).contiguous(memory_format=layout)


def make_batch(split, anchors, indices, flips):
    """Returns pixels, labels [N, A] and targets [N, A, 4] of the images, mirrored where flips says so."""
    width = split.pixels.shape[3]
    pixels, labels, targets = [], [], []
    for i, flip in zip(indices, flips):
        p, b = split.pixels[i], split.boxes[i]
        if flip:
            p = p.flip(2)
            b = torch.stack([width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]], 1)
        label, target = assign(anchors, b, split.labels[i])
        pixels.append(p)
        labels.append(label)
        targets.append(target)
    return torch.stack(pixels), torch.stack(labels), torch.stack(targets)


def batches(n, size, flip, seed):
    """Yields indices and flips for ever: one permutation of the images after the other."""
    rng = np.random.default_rng(seed)
    order = []
    while True:
        while len(order) < size:
            order += list(rng.permutation(n))
        yield order[:size], rng.random(size) < flip
        order = order[size:]


# Training


def rate(lr, step, iters, warmup):
    """Warm-up to lr, then a tenth from .67 of the steps on and a hundredth from .89."""
    r = lr * min(1.0, (step + 1) / warmup)
    for s in (0.67, 0.89):
        if step >= math.floor(s * iters + 0.5):
            r *= 0.1
    return r


def optimizer(net, lr):
    return torch.optim.SGD(net.parameters(), lr, momentum=0.9, weight_decay=1e-4)


def gradient_norm(net):
    return float(torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in net.parameters()])))


def train(net, split, anchors, a, layout):
    """Returns the status ("done" or "diverged"), the log and the milliseconds a step."""
    net.train()
    opt = optimizer(net, a.lr)
    log, window, started = [], [], time.perf_counter()
    step = -1
    for step, (indices, flips) in zip(range(a.iters), batches(len(split.ids), a.batch, 0.5, a.seed)):
        pixels, labels, targets = make_batch(split, anchors, indices, flips)
        for group in opt.param_groups:
            group["lr"] = rate(a.lr, step, a.iters, a.warmup)
        logits, deltas = net(network_input(pixels, a.device, layout))
        cls, box, positives = losses(logits, deltas, labels.to(a.device), targets.to(a.device), a.gamma, a.alpha)
        opt.zero_grad()
        (cls + box).backward()
        norm = gradient_norm(net)
        values = (float(cls.detach()), float(box.detach()), norm, positives)
        if not all(map(math.isfinite, values)):
            log.append({"step": step, "not_finite": [n for n, v in zip(("cls", "box", "grad"), values) if not math.isfinite(v)]})
            return "diverged", log, 0.0
        opt.step()
        window.append(values)
        if (step + 1) % a.log == 0 or step + 1 == a.iters:
            mean = np.mean(window, 0)
            log.append({"step": step, **{k: round(float(v), 5) for k, v in zip(("cls", "box", "grad", "positives"), mean)}})
            print(f"step {step + 1}/{a.iters}: class loss {mean[0]:.4f}, box loss {mean[1]:.4f}", file=sys.stderr)
            window = []
    return "done", log, 1000 * (time.perf_counter() - started) / max(1, step + 1)


# Evaluation


def detect(net, split, anchors, counts, device, layout, least=0.001, top=1000, most=100, size=20):
    """Returns COCO detections: candidates above least, the top of each level, NMS at .5 in each class."""
    from torchvision.ops import batched_nms

    net.eval()
    height, width = split.pixels.shape[2:]
    limits = torch.tensor([width, height, width, height], dtype=torch.float32)
    out = []
    for first in range(0, len(split.ids), size):
        with torch.no_grad():
            logits, deltas = net(network_input(split.pixels[first : first + size], device, layout))
        for i, (x, d) in enumerate(zip(logits.cpu(), deltas.cpu())):
            boxes, scores, labels, start = [], [], [], 0
            for n in counts:
                p = x[start : start + n].flatten().sigmoid()
                p, at = p.topk(min(top, len(p)))
                at = at[p > least]
                where = start + torch.div(at, x.shape[1], rounding_mode="floor")
                boxes.append(torch.minimum(decode(anchors[where], d[where]).clamp(min=0), limits))
                scores.append(p[p > least])
                labels.append(at % x.shape[1])
                start += n
            boxes, scores, labels = torch.cat(boxes), torch.cat(scores), torch.cat(labels)
            for j in batched_nms(boxes, scores, labels, 0.5)[:most].tolist():
                x1, y1, x2, y2 = map(float, boxes[j])
                out.append(
                    {
                        "image_id": split.ids[first + i],
                        "category_id": split.categories[int(labels[j])],
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "score": float(scores[j]),
                    }
                )
    return out


def coco_ap(file, detections):
    """Returns COCO's twelve numbers; without detections all are 0."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not detections:
        return [0.0] * 12
    with contextlib.redirect_stdout(sys.stderr):
        truth = COCO(file)
        e = COCOeval(truth, truth.loadRes(detections), "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    return [float(v) for v in e.stats]


def summary(x):
    x = x.detach().double()
    return {"mean": float(x.mean()), "abs_mean": float(x.abs().mean()), "first": [float(v) for v in x.flatten()[:4]]}


def check(net, split, anchors, a, layout):
    """What the untrained network says of the first image, and its losses on the first batch, unmirrored."""
    net.eval()
    with torch.no_grad():
        logits, deltas = net(network_input(split.pixels[:1], a.device, layout))
    out = {"image": split.ids[0], "input": summary(network_input(split.pixels[:1], a.device, layout))}
    out |= {"logits": summary(logits), "deltas": summary(deltas)}
    net.train()
    pixels, labels, targets = make_batch(split, anchors, range(a.batch), [False] * a.batch)
    logits, deltas = net(network_input(pixels, a.device, layout))
    cls, box, positives = losses(logits, deltas, labels.to(a.device), targets.to(a.device), a.gamma, a.alpha)
    (cls + box).backward()
    return out | {
        "batch": a.batch,
        "positives": positives,
        "ignored": int((labels == IGNORED).sum()),
        "class_loss": float(cls.detach()),
        "box_loss": float(box.detach()),
        "grad_norm": gradient_norm(net),
    }


def number_or_none(text):
    return None if text == "none" else float(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder in COCO's layout, images of one size")
    parser.add_argument("--init", required=True, metavar="FILE", help="initial weights, safetensors")
    parser.add_argument("--seed", type=int, default=0, help="of the order of images and flips")
    parser.add_argument("--gamma", type=float, default=2.0)
    parser.add_argument("--alpha", type=number_or_none, default=0.25, help='or "none"')
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--iters", type=int, default=600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--group-channels", type=int, default=8, help="channels of one group of the heads' norm")
    parser.add_argument("--split", default="val", help="split that is scored")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--log", type=int, default=50, help="steps that one entry of the log averages")
    parser.add_argument("--check", action="store_true", help="train nothing: print the first outputs, losses and gradient")
    a = parser.parse_args()

    torch.set_num_threads(a.threads)
    if a.device.startswith("cuda"):  # TF32 would round the convolutions' inputs
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    weights = read_safetensors(a.init)
    net = RetinaNet(Shape.of(weights, a.group_channels))
    net.load(weights)
    layout = torch.channels_last
    net = net.to(a.device, memory_format=layout)
    train_split = read_split(a.data, "train")
    if len(train_split.categories) != net.shape.classes:
        raise SystemExit(f"{a.data} has {len(train_split.categories)} classes, the weights {net.shape.classes}")
    anchors, counts = make_anchors(*train_split.pixels.shape[2:])

    if a.check:
        print(json.dumps(check(net, train_split, anchors, a, layout)))
        return
    status, log, ms = train(net, train_split, anchors, a, layout)
    line = {"seed": a.seed, "gamma": a.gamma, "alpha": a.alpha, "lr": a.lr, "iters": a.iters, "status": status}
    if status == "done":
        started = time.perf_counter()
        split = read_split(a.data, a.split)
        found = detect(net, split, anchors, counts, a.device, layout)
        ap = coco_ap(split.file, [d for d in found if d["score"] > 0.05])
        line |= {k: round(v, 5) for k, v in zip(("AP", "AP50", "AP75", "APs", "APm", "APl"), ap)}
        line |= {"AP.001": round(coco_ap(split.file, found)[0], 5), "eval_s": round(time.perf_counter() - started, 1)}
    line |= {"ms": round(ms, 1), "threads": a.threads, "device": a.device, "torch": torch.__version__, "log": log}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
