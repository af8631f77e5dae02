#!/usr/bin/env python3
"""Times the training step of torchvision's RetinaNet on one GPU, as `runner bench step --no-loader` times ours.

It is the public implementation that is nearest to our profile `paper`: torchvision's ResNet, pyramid, heads, matcher
and losses, with P6 from C5, in channels-last memory, by default under autocast to bfloat16, with fused SGD. Steps
train on one batch of noise with five objects an image, which is on the device already. A step is everything from
normalisation to the updated weights, matching included; loading is left out. Steps are timed one by one, each up to
the end of the device's work.

Prints one line of JSON: times in milliseconds, memory in bytes, rates in images a second. `compile_seconds` is what
the steps before the timed ones took longer than as many of these. `peak_bytes` is what PyTorch allocated on the device
at most, `reserved_bytes` what its cache took from it; on a CPU it is the peak of the whole process. `busy` is the share
of a median step in which kernels ran, by torch.profiler over three more steps; on a CPU it is null.
"""

import argparse
import functools
import json
import platform
import resource
import statistics
import time

import torch
import torchvision
from torch import nn
from torchvision.models import resnet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

BLOCKS = {18: (resnet.BasicBlock, [2, 2, 2, 2]), 50: (resnet.Bottleneck, [3, 4, 6, 3])}
GROUP = 8  # channels that a group norm joins
OBJECTS = 5  # in each image


class Body(resnet.ResNet):
    """torchvision's ResNet with its 64, 128, 256 and 512 channels multiplied by a width."""

    def __init__(self, depth, width, norm):
        block, blocks = BLOCKS[depth]
        super().__init__(block, blocks, norm_layer=norm)
        del self.fc
        if width != 1:
            planes = [max(8, int(width * c)) for c in (64, 128, 256, 512)]
            self.inplanes = planes[0]
            self.conv1 = nn.Conv2d(3, planes[0], 7, stride=2, padding=3, bias=False)
            self.bn1 = norm(planes[0])
            for i, (channels, n) in enumerate(zip(planes, blocks)):
                setattr(self, f"layer{i + 1}", self._make_layer(block, channels, n, stride=1 if i == 0 else 2))
            for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")


def build(a):
    norm = {"frozen": FrozenBatchNorm2d, "batch": nn.BatchNorm2d}[a.norm]
    body = Body(a.depth, a.width, norm)
    last = "bn2.weight" if a.depth == 18 else "bn3.weight"
    for name, value in body.named_buffers():
        if name.startswith("layer") and name.endswith(last):
            value.fill_(0.3)  # with 1 the activations of random weights double with every block
    trained = ["layer4", "layer3", "layer2", "layer1", "conv1"][: 5 - a.freeze] + ([] if a.freeze else ["bn1"])
    for name, p in body.named_parameters():
        p.requires_grad_(any(name.startswith(part) for part in trained))
    channels = [m.conv1.in_channels for m in (body.layer2[-1], body.layer3[-1], body.layer4[-1])]
    backbone = BackboneWithFPN(
        body,
        {"layer2": "0", "layer3": "1", "layer4": "2"},
        channels,
        a.fpn_channels,
        LastLevelP6P7(channels[-1], a.fpn_channels),
    )
    sides = tuple(tuple(round(a.anchor_base * 2 ** (level + k / 3)) for k in range(3)) for level in range(3, 8))
    anchors = AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * 5)
    head_norm = functools.partial(nn.GroupNorm, a.fpn_channels // GROUP) if a.head_norm == "group" else None
    head = RetinaNetHead(a.fpn_channels, 9, a.classes, norm_layer=head_norm)
    net = RetinaNet(backbone, a.classes, anchor_generator=anchors, head=head, _skip_resize=True)
    # The transform batches images in the other layout.
    net.backbone.register_forward_pre_hook(lambda _, x: (x[0].contiguous(memory_format=torch.channels_last),))
    return net.to(a.device, memory_format=torch.channels_last).train()


def made_up(a):
    """Noise, and squares of 12 to 60 % of the shorter side."""
    g = torch.Generator().manual_seed(0)
    h, w = a.px
    images, targets = [], []
    for _ in range(a.batch):
        side = min(h, w) * (0.12 + 0.48 * torch.rand(OBJECTS, 1, generator=g)).expand(OBJECTS, 2)
        corner = torch.rand(OBJECTS, 2, generator=g) * (torch.tensor([w, h]) - side)
        labels = torch.randint(a.classes, (OBJECTS,), generator=g)
        images.append(torch.rand(3, h, w, generator=g).to(a.device))
        targets.append({"boxes": torch.cat([corner, corner + side], 1).to(a.device), "labels": labels.to(a.device)})
    return images, targets


class Training:
    def __init__(self, a):
        torch.manual_seed(0)
        self.cuda = a.device.startswith("cuda")
        self.kind = a.device.split(":")[0]
        self.bf16 = a.precision == "bf16"
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # as in our float32
        net = build(a)
        learned = [p for p in net.parameters() if p.requires_grad]
        self.parameters = sum(p.numel() for p in net.parameters())
        self.optimizer = torch.optim.SGD(learned, lr=1e-4, momentum=0.9, weight_decay=1e-4, fused=self.cuda)
        self.images, self.targets = made_up(a)
        self.net = torch.compile(net) if a.compile else net

    def step(self):
        with torch.autocast(self.kind, dtype=torch.bfloat16, enabled=self.bf16):
            self.loss = sum(self.net(self.images, self.targets).values())
        self.optimizer.zero_grad(set_to_none=True)
        self.loss.backward()
        self.optimizer.step()
        if self.cuda:
            torch.cuda.synchronize()

    def timed(self):
        started = time.perf_counter()
        self.step()
        return 1000 * (time.perf_counter() - started)

    def kernels(self, steps=3):
        """Milliseconds a step in which the device works."""
        activity = torch.profiler.ProfilerActivity.CUDA
        with torch.profiler.profile(activities=[activity]) as profile:
            for _ in range(steps):
                self.step()
        events = profile.key_averages()
        # Its name before PyTorch 2.4 was another.
        times = (getattr(e, "self_device_time_total", None) or getattr(e, "self_cuda_time_total", 0) for e in events)
        return sum(times) / 1000 / steps


def size(text):
    h, _, w = text.lower().partition("x")
    try:
        px = int(h), int(w or h)
    except ValueError:
        px = 0, 0
    if min(px) < 32 or px[0] % 32 or px[1] % 32:
        raise argparse.ArgumentTypeError(f"{text}: want height x width in pixels, multiples of 32, such as 800x1344")
    return px


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--px", type=size, default=(800, 1344), metavar="HxW", help="input, multiples of 32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--depth", type=int, choices=BLOCKS, default=50)
    parser.add_argument("--width", type=float, default=1, help="multiplies the channels of the ResNet")
    parser.add_argument("--norm", choices=("frozen", "batch"), default="frozen", help="of the ResNet")
    parser.add_argument("--freeze", type=int, choices=range(6), default=2, help="parts of the ResNet that do not learn")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--fpn-channels", type=int, default=256)
    parser.add_argument("--head-norm", choices=("none", "group"), default="none")
    parser.add_argument("--anchor-base", type=float, default=4, help="side of the smallest anchor, in strides")
    parser.add_argument("--precision", choices=("bf16", "f32"), default="bf16", help="bf16 is autocast")
    parser.add_argument("--compile", action="store_true", help="by torch.compile, the whole model")
    parser.add_argument("--steps", type=int, default=20, help="timed")
    parser.add_argument("--warmup", type=int, default=5, help="untimed steps before")
    parser.add_argument("--device", default="cuda")
    a = parser.parse_args()
    if min(a.batch, a.classes, a.steps, a.warmup) < 1 or a.fpn_channels % GROUP:
        parser.error(f"want --batch, --classes, --steps and --warmup from 1, --fpn-channels a multiple of {GROUP}")
    if a.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("no GPU is available to PyTorch; --device cpu runs on the CPU")

    training = Training(a)
    before = sum(training.timed() for _ in range(a.warmup))
    begin = time.time()
    ms = [training.timed() for _ in range(a.steps)]
    end = time.time()
    if not torch.isfinite(training.loss):
        raise SystemExit("the loss is not finite")
    median = statistics.median(ms)
    line = {
        "depth": a.depth,
        "width_factor": a.width,
        "height": a.px[0],
        "width": a.px[1],
        "batch": a.batch,
        "classes": a.classes,
        "fpn_channels": a.fpn_channels,
        "parameters": training.parameters,
        "precision": {"bf16": "bfloat16", "f32": "float32"}[a.precision],
        "compile": a.compile,
        "steps": a.steps,
        "ms": {"median": median, "min": min(ms), "max": max(ms)},
        "images_per_second": 1000 * a.batch / median,
        "compile_seconds": max(0, before - a.warmup * median) / 1000,
        "begin": begin,
        "end": end,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "busy": None,
        "busy_from": "torch.profiler",
        "device": platform.machine(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda,
    }
    if training.cuda:
        line["peak_bytes"] = torch.cuda.max_memory_allocated()
        line["reserved_bytes"] = torch.cuda.max_memory_reserved()
        line["device"] = torch.cuda.get_device_name()
        line["cudnn"] = torch.backends.cudnn.version()
        line["busy"] = training.kernels() / median
    if a.compile:
        counted = torch._dynamo.utils.counters
        line["graphs"] = counted["stats"]["unique_graphs"]
        line["graph_breaks"] = sum(counted["graph_break"].values())
    print(json.dumps(line))


if __name__ == "__main__":
    main()
