#!/bin/sh
# Compares the training step of `runner bench step` with PyTorch's, and prints a table.
#
#   bench/compare.sh > table.md
#
# The two alternate, so that both see the same disturbances. A figure is the median over the
# rounds of each run's median; "at best" is the ratio of the fastest steps. If the two ratios
# differ much, the machine was not quiet. One thread runs on one core (taskset), two on any
# two. Memory is the peak of a process above the bare process: for PyTorch an interpreter that
# has imported torch. Our step matches anchors with objects; PyTorch's step starts from ready
# targets.
#
# From the environment:
#   PYTHON   interpreter with torch and torchvision                   (python3)
#   CASES    networks, sides in pixels and threads, as model:px:threads, space-separated
#   ROUNDS   turns per case                                           (3)
#   STEPS    steps measured in a turn                                 (10)
#   RUNNER   our program; without it one is built
#   COMPILE  1: PyTorch runs through torch.compile
#   LOADER   1: our step reads its batches from disk, as in a sweep; PyTorch's step never does
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
CASES=${CASES:-"mini:128:1 mini:128:2 r18:128:1 r18:128:2 r18:256:1 r18:256:2 r50:128:1 r50:128:2 r50:256:1 r50:256:2"}
ROUNDS=${ROUNDS:-3}
STEPS=${STEPS:-10}
loader=--no-loader
[ "${LOADER:-}" = 1 ] && loader=
compile=
[ "${COMPILE:-}" = 1 ] && compile=--compile

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "${RUNNER:-}" ]; then
	RUNNER=$tmp/runner
	go build -o "$RUNNER" ./cmd/runner
fi

# on THREADS COMMAND… runs on as many cores; which one does not matter.
on() {
	threads=$1
	shift
	if [ "$threads" = 1 ] && command -v taskset >/dev/null; then
		taskset -c "$(($(nproc --all) - 1))" "$@"
	else
		"$@"
	fi
}

for case in $CASES; do
	model=${case%%:*}
	px=${case#*:}
	px=${px%%:*}
	threads=${case##*:}
	layout=best
	for round in $(seq "$ROUNDS"); do
		echo "$case, round $round of $ROUNDS" >&2
		on "$threads" "$RUNNER" bench step --model "$model" --px "$px" --threads "$threads" --steps "$STEPS" $loader --format json >>"$tmp/$case.ours"
		on "$threads" "$PYTHON" bench/peers/torch_step.py --model "$model" --px "$px" --threads "$threads" --steps "$STEPS" --layout $layout $compile >>"$tmp/$case.torch"
		# The first round finds the faster layout, which the others keep to.
		layout=$("$PYTHON" -c 'import json, sys; print(json.loads(sys.stdin.readline())["layout"])' <"$tmp/$case.torch")
	done
done

"$PYTHON" - "$tmp" $CASES <<'END'
import json
import statistics
import sys

folder, cases = sys.argv[1], sys.argv[2:]


def read(case, side):
    with open(f"{folder}/{case}.{side}") as f:
        return [json.loads(line) for line in f]


print("| network | px | batch | threads | ours, ms | PyTorch, ms | time | at best | ours, MB | PyTorch, MB | memory |")
print("| --- " * 11 + "|")
for case in cases:
    ours, torch = read(case, "ours"), read(case, "torch")
    ms = [statistics.median(r["ms"]["median"] for r in rows) for rows in (ours, torch)]
    best = [min(r["ms"]["min"] for r in rows) for rows in (ours, torch)]
    mb = [max(r["peak_bytes"] for r in rows) / 1e6 for rows in (ours, torch)]
    row = [ours[0]["model"], ours[0]["height"], ours[0]["batch"], ours[0]["threads"]]
    row += [f"{ms[0]:.1f}", f"{ms[1]:.1f}", f"{ms[0] / ms[1]:.2f}", f"{best[0] / best[1]:.2f}"]
    row += [f"{mb[0]:.0f}", f"{mb[1]:.0f}", f"{mb[0] / mb[1]:.2f}" if mb[1] else "–"]
    print("| " + " | ".join(map(str, row)) + " |")
first = read(cases[0], "torch")[0]
print(f"\nPyTorch {first['torch']}{', torch.compile' if first['compile'] else ''}; medians of {len(read(cases[0], 'ours'))} rounds of {first['steps']} steps.")
END
