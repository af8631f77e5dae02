"""Writes the files that the tests of .pth files read, as users of torchvision have them.

    pip install torch torchvision safetensors numpy
    python weights/testdata/generate.py

resnet18.pth is the state_dict of torchvision's ResNet-18 without weights, at an eighth of its
width and in float16, so that it is small: code and names are torchvision's. resnet18.safetensors holds the same
tensors. kinds.pth has tensors of every type and layout, and kinds.json what torch says they hold.
The others must be refused. Made with torch 2.15.0 and torchvision 0.29.2.
"""
import json
import pathlib

import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models.resnet import BasicBlock, ResNet

here = pathlib.Path(__file__).parent


class Narrow(ResNet):
    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        return super()._make_layer(block, planes // 8, blocks, stride, dilate)


torch.manual_seed(0)
net = Narrow(BasicBlock, [2, 2, 2, 2])
net.conv1, net.bn1, net.inplanes = torch.nn.Conv2d(3, 8, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(8), 8
for i, planes in enumerate([64, 128, 256, 512]):
    setattr(net, f"layer{i + 1}", net._make_layer(BasicBlock, planes, 2, 1 if i == 0 else 2))
# torchvision's first stage has no downsampling, nor has ours
net.fc = torch.nn.Linear(64, 5)
state = net.half().state_dict()
for name, v in state.items():
    if name.endswith("running_mean"):
        v.normal_(0, 0.1)
    elif name.endswith("running_var"):
        v.uniform_(0.5, 1.5)
assert list(state) == list(torchvision.models.resnet18(weights=None).state_dict())
torch.save(state, here / "resnet18.pth")
save_file({k: v.contiguous() for k, v in state.items()}, here / "resnet18.safetensors")

base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 7
kinds = {
    "plain": base,
    "transposed": base.permute(2, 0, 1),
    "part": base[:, 1:, ::2],
    "shared": base[1],
    "expanded": torch.tensor([1.5]).expand(3, 2),
    "half": base.half(),
    "bfloat": base.bfloat16(),
    "double": base.double() / 3,
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(base[0, :2]),
    "inner": {"weight": base[0, 0], "epoch": 3, "lr": 0.1, "name": "x", "ok": True, "none": None, "list": [1, 2, 3000], "big": 1 << 40},
    "count": torch.tensor(7),
    "mask": torch.tensor([True, False]),
}
torch.save(kinds, here / "kinds.pth")
flat = {}
for name, v in [*kinds.items(), ("inner.weight", kinds["inner"]["weight"])]:
    if isinstance(v, torch.Tensor) and v.is_floating_point():
        flat[name] = {"shape": list(v.shape), "data": v.detach().float().reshape(-1).tolist()}
(here / "kinds.json").write_text(json.dumps(flat) + "\n")

torch.save({"weight": base, "model": torch.nn.Linear(2, 2)}, here / "module.pth")
torch.save({"weight": base}, here / "old.pth", _use_new_zipfile_serialization=False)
torch.save(base, here / "alone.pth")
