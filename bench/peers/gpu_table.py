#!/usr/bin/env python3
"""Prints the results of bench/gpu.sh as a table: ours beside torchvision's, then loading, the sweep, and what failed.

A ratio is our images a second over those of torchvision on the same case, in the precision that both programs were
asked for; the column "computes in" is what they report.
"""

import argparse
import json

HEADER = (
    "case",
    "program",
    "computes in",
    "images/s",
    "ms a step",
    "over eager",
    "over compiled",
    "busy, %",
    "GPU GiB",
    "compile s",
)


def text(value, scale=1, digits=1):
    return "" if value is None else f"{value * scale:.{digits}f}"


def rows(steps):
    rates = {(line["part"], line["program"]): line["result"]["images_per_second"] for line in steps}
    yield HEADER
    yield ("---",) * len(HEADER)
    for line in steps:
        r = line["result"]
        program, precision = line["program"].split(" ", 1)
        ratios = []
        for how in ("eager", "compiled"):
            peer = rates.get((line["part"], f"torchvision {precision}, {how}"))
            ratios.append(f"{r['images_per_second'] / peer:.2f}" if peer and program == "FocalGrid" else "")
        yield (
            line["part"],
            line["program"],
            r["precision"],
            text(r["images_per_second"]),
            text(r["ms"]["median"], digits=2),
            *ratios,
            text(line.get("busy"), 100, 0),
            text(line.get("device_peak_bytes"), 2**-30),
            text(r["compile_seconds"]),
        )


def sweep(trials, batch):
    """The rate of the sweep's trials as a sentence; batch images a step."""
    trained = [t for t in trials if t["kind"] == "train" and t["wall_seconds"]]
    images = sum(t["attempts"][-1]["end_step"] for t in trained) * batch
    seconds = sum(t["wall_seconds"] for t in trained)
    rate = images / seconds if trained else 0
    work = "with compiling, checkpoints and evaluation"
    return f"Sweep: {len(trained)} trials, {images} images in {seconds:.1f} s {work}: {rate:.1f} images/s."


def loader(report):
    """The rate of each source of images, a sentence for each."""
    for source in report["from"]:
        rate, one = source["images_per_second"], source["images_per_second_one_core"]
        said = f"Loader from {source['name']}: {rate:.0f} images/s, {one:.0f} on one core"
        if "cores_for_the_feed" in source:
            said += f", {source['cores_for_the_feed']:.1f} cores for {report['feed']:g}"
        yield said + "."


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("results", help="results.jsonl")
    parser.add_argument("--batch", type=int, help="images of a step of the sweep")
    parser.add_argument("--rate", action="store_true", help="print our images a second on the first case, 0 without one")
    a = parser.parse_args()
    with open(a.results) as f:
        lines = [json.loads(line) for line in f]
    steps = [line for line in lines if isinstance(line.get("result"), dict) and "precision" in line["result"]]
    if a.rate:
        ours = [line["result"]["images_per_second"] for line in steps if line["program"].startswith("FocalGrid")]
        print(round(ours[0]) if ours else 0)
        return
    for row in rows(steps):
        print("| " + " | ".join(row) + " |")
    for line in lines:
        if line["part"] == "loader" and line.get("result"):
            for said in loader(line["result"]):
                print("\n" + said)
        if line["part"] == "sweep" and line.get("result"):
            print("\n" + sweep(line["result"], a.batch))
    print()
    for line in lines:
        if line["status"] != "ok":
            reason = line.get("reason", "see log.txt")
            print(f"- {line['part']}, {line['program']}: {line['status']}, {reason}")
    versions = set()
    for line in steps:
        r = line["result"]
        version = f", torch {r['torch']}, torchvision {r['torchvision']}" if "torch" in r else ""
        versions.add(f"{line['program'].split()[0]}: {r['device']}{version}")
    print("\n" + "; ".join(sorted(versions)))


if __name__ == "__main__":
    main()
