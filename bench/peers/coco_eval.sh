#!/bin/sh
# Times `runner eval` beside other COCO evaluators, and prints a table.
#
#   bench/peers/coco_eval.sh > table.md
#
# The programs alternate, so that all see the same disturbances. A run is a whole process that
# reads both files and prints the twelve numbers. `seconds` is the median over the rounds,
# `at best` the shortest time. The two ratios are ours over theirs: below 1 ours takes less. If
# the ratios of median and best differ much, the machine was not quiet. One thread runs on one
# core (taskset), two on any two. Memory is the peak of the process (ru_maxrss). Programs that
# are not installed are left out: vernier (vernier-cli) and coco-eval (hotcoco-cli) are looked
# up on the path, ultrafast-pycocotools in PYTHON.
#
# From the environment:
#   PYTHON   interpreter                              (python3)
#   CASES    cases of `runner bench eval`             (coco lvis large)
#   THREADS  numbers of threads                       (1 2)
#   ROUNDS   turns                                    (5)
#   RUNNER   our program; without it one is built
#   FILES    folder that keeps the generated files; without it they are removed
set -eu
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
CASES=${CASES:-"coco lvis large"}
THREADS=${THREADS:-"1 2"}
ROUNDS=${ROUNDS:-5}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -z "${RUNNER:-}" ]; then
	RUNNER=$tmp/runner
	go build -o "$RUNNER" ./cmd/runner
fi
files=${FILES:-$tmp/files}
for case in $CASES; do
	if [ ! -f "$files/$case-dt.json" ]; then
		echo "$case: writing the files" >&2
		"$RUNNER" bench eval --case "$case" --rounds 1 --keep "$files" >/dev/null
	fi
done

cat >"$tmp/ultrafast.py" <<'END'
import sys

from ultrafast_pycocotools import COCO, COCOeval

gt = COCO(sys.argv[1])
e = COCOeval(gt, gt.loadRes(sys.argv[2]), "bbox")
e.evaluate()
e.accumulate()
e.summarize()
END

# measure appends "seconds peak-KiB" of a command to a file.
cat >"$tmp/measure.py" <<'END'
import os
import subprocess
import sys
import time

start = time.monotonic()
p = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(p.pid, 0)
seconds = time.monotonic() - start
if status != 0:
    sys.exit(f"{' '.join(sys.argv[2:])}: exit status {os.waitstatus_to_exitcode(status)}")
with open(sys.argv[1], "a") as f:
    print(seconds, usage.ru_maxrss, file=f)
END

# turn TOOL THREADS CASE COMMAND… runs and measures one process.
turn() {
	log=$tmp/log.$3.$2.$1
	pin=
	[ "$2" = 1 ] && command -v taskset >/dev/null && pin="taskset -c $(($(nproc --all) - 1))"
	threads=$2
	shift 3
	RAYON_NUM_THREADS=$threads "$PYTHON" "$tmp/measure.py" "$log" $pin "$@"
}

for case in $CASES; do
	gt=$files/$case-gt.json
	dt=$files/$case-dt.json
	cat "$gt" "$dt" >/dev/null
	for threads in $THREADS; do
		for round in $(seq "$ROUNDS"); do
			echo "$case, $threads threads, round $round of $ROUNDS" >&2
			turn runner "$threads" "$case" "$RUNNER" eval --gt "$gt" --dt "$dt" --threads "$threads"
			if command -v vernier >/dev/null; then
				turn vernier-cli "$threads" "$case" vernier eval --gt "$gt" --dt "$dt" --iou-type bbox --threads "$threads"
			fi
			if "$PYTHON" -c "import ultrafast_pycocotools" 2>/dev/null; then
				turn ultrafast-pycocotools "$threads" "$case" "$PYTHON" "$tmp/ultrafast.py" "$gt" "$dt"
			fi
			if command -v coco-eval >/dev/null; then
				turn hotcoco-cli "$threads" "$case" coco-eval --gt "$gt" --dt "$dt"
			fi
		done
	done
done

"$PYTHON" - "$tmp" "$CASES" "$THREADS" <<'END'
import os
import statistics
import sys

folder, cases, threads = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()

print("| case | threads | program | seconds | at best | peak MiB | time | at best | memory |")
print("| --- " * 9 + "|")
for case in cases:
    for n in threads:
        ours = None
        for tool in ("runner", "vernier-cli", "ultrafast-pycocotools", "hotcoco-cli"):
            path = f"{folder}/log.{case}.{n}.{tool}"
            if not os.path.exists(path):
                continue
            with open(path) as f:
                runs = [[float(v) for v in line.split()] for line in f]
            seconds = [r[0] for r in runs]
            it = (statistics.median(seconds), min(seconds), max(r[1] for r in runs) / 1024)
            ours = ours or it
            ratios = ["", "", ""] if tool == "runner" else [f"{a / b:.2f}" for a, b in zip(ours, it)]
            print("| " + " | ".join([case, n, tool, f"{it[0]:.2f}", f"{it[1]:.2f}", f"{it[2]:.0f}", *ratios]) + " |")
END
