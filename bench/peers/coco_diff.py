#!/usr/bin/env python3
"""Compares `runner eval` with pycocotools on random hard cases, bit by bit.

    python3 bench/peers/coco_diff.py --runner ./runner --cases 2000

Each case is a pair of small files full of what evaluators stumble over: ties, crowds,
repeated, negative, zero and huge ids, images and categories listed twice, unknown ones,
boxes without size, areas that are not the box's, more detections than count, up to forty
classes (the order of summation shows from nine on). All twelve numbers, overall and of
every category, must be equal, and what one side refuses the other must refuse too, ours
with one line that names the file. Prints a summary; exits with 1 if anything differs and
keeps the first such case with --keep.
"""

import argparse
import contextlib
import io
import json
import math
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def case(seed):
    """Returns ground truth and results as values for json.dump."""
    r = random.Random(seed)

    def chance(p):
        return r.random() < p

    many = chance(0.25)
    images = r.randint(1, 6)
    categories = r.randint(9, 40) if many else r.randint(1, 5)
    huge = chance(0.1)

    def ids(n):
        if huge:
            return r.sample([-(2**63), 2**63 - 1, -1, 0, 2**53, 2**53 + 1] + [r.getrandbits(62) for _ in range(n)], n)
        return r.sample(range(-3 if chance(0.2) else 0, 4 * n + 4), n)

    image_ids, category_ids = ids(images), ids(categories)
    gt = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in image_ids],
        "categories": [{"id": c, "name": f"class {c}"} for c in category_ids],
        "annotations": [],
        "info": {"note": ["}, {", "\\", "\u00e9", 1e-7, None, True]},
    }
    if chance(0.15):
        gt["images"].append(dict(r.choice(gt["images"])))
    if chance(0.1):
        gt["categories"].append({"id": r.choice(category_ids), "name": "again"})

    grid = chance(0.6)  # whole numbers of few values: ties, and overlaps of exactly a threshold

    def length():
        return r.choice([1, 2, 4, 5, 10, 20, 32, 40, 96, 100]) if grid else math.exp(r.uniform(0, 5.5))

    def place():
        return r.choice([0, 1, 2, 5, 10, 20]) if grid else r.uniform(-20, 100)

    odd = chance(0.3)

    def box():
        b = [place(), place(), length(), length()]
        if odd and chance(0.15):
            b[r.randint(2, 3)] = r.choice([0, 0.0, -1, -5.5, 1e-300, 1e-200, 1e5, 1e160, 1e300])
        return b

    def near(b):
        if grid:
            return [v + (r.choice([-1, 0, 0, 0, 1, 2]) if i < 2 else r.choice([0, 0, 0, 1, 5])) for i, v in enumerate(b)]
        s = r.choice([0.02, 0.1, 0.3])
        return [b[0] + s * b[2] * r.gauss(0, 1), b[1] + s * b[3] * r.gauss(0, 1), b[2] * math.exp(s * r.gauss(0, 1)), b[3] * math.exp(s * r.gauss(0, 1))]

    levels = r.choice([1, 2, 5, 20, 0])

    def score():
        if levels:
            return r.randint(0, levels) / levels
        return r.choice([r.random(), r.random() ** 20, r.gauss(0, 1), r.choice([-0.0, 0, 1, -7, 1e300, 5e-324, 1e-5])])

    crowds = r.choice([0, 0, 0.1, 0.5])
    strange = chance(0.25)
    results = []

    def detect(image, category, b):
        d = {"image_id": image, "category_id": category, "bbox": b, "score": score()}
        if chance(0.05):
            d["segmentation"] = {"size": [1, 2], "counts": 'a"},{\\"'}
        items = list(d.items())
        if strange:
            r.shuffle(items)
        results.append(dict(items))

    used = r.sample(category_ids, r.randint(1, categories))
    for image in image_ids:
        if chance(0.1):
            continue
        for _ in range(r.randint(0, 12 if many else 8)):
            category, b = r.choice(used), box()
            area = b[2] * b[3]
            if chance(0.3):
                area = r.choice([0, 1, 1023.9999999999999, 1024, 1024.0000000000002, 9215, 9216, 9217, 1e10, 1e11, -1, area / 2, 2 * area])
            a = {"id": len(gt["annotations"]) + 1, "image_id": image, "category_id": category, "bbox": b, "area": area}
            a["iscrowd"] = r.choice([1, True]) if chance(crowds) else r.choice([0, False])
            if chance(0.3):
                a["segmentation"] = r.choice([[[1, 2.5, 3e0, 4, 5, 6]], [], {"size": [4, 4], "counts": [1, 2]}])
            if chance(0.05):
                a["ignore"] = 1
            gt["annotations"].append(a)
            for _ in range(r.choice([0, 1, 1, 2, 4])):
                detect(image, category, near(b))
        for _ in range(r.randint(0, 4)):
            detect(image, r.choice(category_ids), box())
    if chance(0.1):
        image, category = r.choice(image_ids), r.choice(category_ids)
        for _ in range(r.choice([99, 100, 101, 150])):
            detect(image, category, box())
    if chance(0.5):
        r.shuffle(results)
    if chance(0.3):
        r.shuffle(gt["annotations"])
    annotations = gt["annotations"]
    if annotations:
        if chance(0.15):
            r.choice(annotations)["id"] = 0
        if chance(0.15):
            for a in annotations:
                a["id"] = -a["id"]
        if chance(0.15):
            for _ in range(r.randint(1, 4)):
                r.choice(annotations)["id"] = r.choice(annotations)["id"]
        if chance(0.05):
            for a in annotations:
                a["id"] += 2**62
        if chance(0.1):
            r.choice(annotations)["category_id"] = 10**6 + 1
        if chance(0.1):
            r.choice(annotations)["image_id"] = 10**6 + 1
        if chance(0.04):
            del r.choice(annotations)[r.choice(["iscrowd", "area"])]
    if results:
        if chance(0.1):
            r.choice(results)["category_id"] = 10**6 + 2
        if chance(0.03):
            r.choice(results)["image_id"] = 10**6 + 2
        if chance(0.03):
            results.clear()
    return gt, results


def reference(gt_path, dt_path):
    """Returns pycocotools' numbers: overall, and by category id."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(gt_path)
        e = COCOeval(gt, gt.loadRes(dt_path), "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    precision, recall = e.eval["precision"], e.eval["recall"]

    def mean(v):
        v = v[v > -1]
        return float(np.mean(v)) if len(v) else -1.0

    by_category = {}
    for k, c in enumerate(e.params.catIds):
        t50, t75 = np.where(e.params.iouThrs == 0.5)[0], np.where(e.params.iouThrs == 0.75)[0]
        by_category[int(c)] = (
            [mean(precision[:, :, k, 0, -1]), mean(precision[t50, :, k, 0, -1]), mean(precision[t75, :, k, 0, -1])]
            + [mean(precision[:, :, k, a, -1]) for a in (1, 2, 3)]
            + [mean(recall[:, k, 0, m]) for m in (0, 1, 2)]
            + [mean(recall[:, k, a, -1]) for a in (1, 2, 3)]
        )
    return [float(v) for v in e.stats], by_category


def ours(runner, gt_path, dt_path, threads):
    numpy = "2.3" if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 3) else "1.24"
    command = [runner, "eval", "--gt", gt_path, "--dt", dt_path, "--format", "json", "--numpy", numpy, "--threads", str(threads)]
    p = subprocess.run(command, capture_output=True, text=True)
    if p.returncode != 0:
        raise ValueError(p.stderr)
    v = json.loads(p.stdout)
    if v["stat_names"] != NAMES:
        raise SystemExit(f"coco_diff: runner names its numbers {v['stat_names']}")
    return v["stats"], {c["category_id"]: [c[n] for n in NAMES] for c in v["per_category"]}


def same(a, b):
    """Equality of bits, but for the sign of 0."""
    return a == b


def compare(runner, gt_path, dt_path, threads):
    """Returns what differs, or None, and whether both refused the case."""
    try:
        want = reference(gt_path, dt_path)
    except Exception as e:  # whatever it trips over
        want, refusal = None, f"{type(e).__name__}: {e}"
    try:
        got = ours(runner, gt_path, dt_path, threads)
    except ValueError as e:
        if want is not None:
            return f"only runner refuses: {e}", False
        line = str(e)
        if line.count("\n") != 1 or "t.json" not in line or "goroutine" in line:
            return f"runner refuses, but not with one line that names the file: {line}", False
        return None, True
    if want is None:
        return f"only pycocotools refuses: {refusal}", False
    for n, w, g in zip(NAMES, want[0], got[0]):
        if not same(w, g):
            return f"{n}: pycocotools {w!r}, runner {g!r}", False
    if want[1].keys() != got[1].keys():
        return f"categories: pycocotools {list(want[1])}, runner {list(got[1])}", False
    for c in want[1]:
        for n, w, g in zip(NAMES, want[1][c], got[1][c]):
            if not same(w, g):
                return f"category {c}, {n}: pycocotools {w!r}, runner {g!r}", False
    return None, False


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--runner", default="runner", help="our program (default: the one on the path)")
    p.add_argument("--cases", type=int, default=2000)
    p.add_argument("--seed", type=int, default=0, help="the first case's; the others count up from it")
    p.add_argument("--keep", metavar="DIR", help="where the files of the first case that differs are kept")
    o = p.parse_args()
    np.seterr(all="ignore")  # boxes of no size
    different = refused = 0
    with tempfile.TemporaryDirectory() as tmp:
        gt_path, dt_path = os.path.join(tmp, "gt.json"), os.path.join(tmp, "dt.json")
        for i in range(o.cases):
            seed = o.seed + i
            for path, value in zip((gt_path, dt_path), case(seed)):
                with open(path, "w") as f:
                    json.dump(value, f, indent=seed % 3 or None)
            problem, both_refused = compare(o.runner, gt_path, dt_path, 1 + seed % 3)
            refused += both_refused
            if problem:
                different += 1
                print(f"seed {seed}: {problem}", flush=True)
                if o.keep and different == 1:
                    os.makedirs(o.keep, exist_ok=True)
                    for path in (gt_path, dt_path):
                        os.replace(path, os.path.join(o.keep, os.path.basename(path)))
    print(f"{o.cases} cases, numpy {np.__version__}: {different} differ, {refused} refused by both")
    sys.exit(1 if different else 0)


main()
