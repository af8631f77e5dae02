#!/bin/bash
# Measures training on a GPU beside torchvision's RetinaNet, the engine's conformance, and the rate of a whole sweep.
#
#   RUNNER=./runner bench/gpu.sh OUTDIR
#
# OUTDIR gets results.jsonl (a line for each part, as soon as it has ended), table.md and log.txt. Each part has a time
# limit, and all of them together end before BUDGET. What fails or finds no time left is recorded as such; the others
# run all the same. The exit code is 1 if a part failed.
#
# For each case our step and torchvision's alternate: ours in bfloat16, torchvision's (bfloat16 autocast) in eager mode
# and compiled, ours in float32. Both train on a batch of noise that is in memory, so that loading is left out: ours
# uploads it at each step, torchvision's has it on the device. bench/peers/README.md says what else differs.
#
# From the environment:
#   RUNNER           our program, built before; without it one is built, which takes Go
#   PYTHON           interpreter, for torchvision with torch                                    (python3)
#   ENGINE           our engine                                                                 (xla)
#   PRECISION_FLAGS  flags of `runner bench step` and `runner sweep` under which they compute in bfloat16, such as
#                    "--set train.precision=bf16". Without them everything runs in float32, torchvision too
#   ENGINE_TEST      test binary of the engine (go test -c ./engine/gomlx): its conformance suite runs first
#   ENGINE_RUN       tests of it                                          (TestXLA/^(f32|bf16)-nchw$)
#   CASES            cases, space-separated; none: only the suite
#                    (r50-800x1344 mini-128x128 r50-512x512 r50-608x1024)
#   BATCH            images                                                                     (16)
#   DATA             folder in COCO's layout, whose loading is measured instead of generated images'
#   BUDGET           seconds for everything                                                     (520)
#   SMALL            1: a rehearsal on the CPU, on tiny networks
set -u

die() { echo "gpu.sh: $*" >&2; exit 2; }

[ $# = 1 ] || die "want the folder for the results: RUNNER=./runner bench/gpu.sh OUTDIR"
here=$(cd "$(dirname "$0")" && pwd)
out=$1
PYTHON=${PYTHON:-python3}
ENGINE=${ENGINE:-xla}
PRECISION_FLAGS=${PRECISION_FLAGS:-}
ENGINE_RUN=${ENGINE_RUN:-'TestXLA/^(f32|bf16)-nchw$'}
CASES=${CASES-r50-800x1344 mini-128x128 r50-512x512 r50-608x1024}
BATCH=${BATCH:-16}
BUDGET=${BUDGET:-520}
device=cuda
reserve=90 # seconds that the cases leave to what comes after them
iters=300
tiny=
if [ "${SMALL:-}" = 1 ]; then
	CASES=tiny-64x64
	BATCH=2
	device=cpu
	iters=3
	tiny="--set model.width=0.125 --set model.fpn=8 --set data.pixels=64 --set image.short=64 --set image.long=64"
	tiny="$tiny --set data.images.train=8 --set data.images.tune=1 --set data.images.val=4"
fi
command -v "$PYTHON" >/dev/null || die "no $PYTHON: set PYTHON to an interpreter"
command -v timeout >/dev/null || die "no timeout, which is one of GNU's coreutils"

mkdir -p "$out" || exit 2
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
results=$out/results.jsonl
: >"$results" && : >"$out/log.txt" || exit 2
export FOCALGRID_CACHE=${FOCALGRID_CACHE:-$tmp/cache}
if [ -z "${RUNNER:-}" ]; then
	RUNNER=$tmp/runner
	(cd "$here/.." && go build -o "$RUNNER" ./cmd/runner) || die "no program: set RUNNER to one that was built before"
fi
"$PYTHON" -c 'import torch, torchvision' 2>/dev/null
torch=$?

# part NAME PROGRAM LIMIT COMMAND… runs a part for LIMIT seconds, or for what is left.
left=0
absent= # why it cannot run
part() {
	local name=$1 program=$2 limit=$3 skip=()
	shift 3
	[ "$limit" -le $((left - SECONDS)) ] || limit=$((left - SECONDS))
	[ "$limit" -ge 5 ] || skip=(--skip "no time left")
	[ -z "$absent" ] || skip=(--skip "$absent")
	"$PYTHON" "$here/peers/watch.py" --to "$results" --log "$out/log.txt" --part "$name" --program "$program" \
		--limit "$limit" "${skip[@]}" -- "$@"
}

# step NAME PRECISION LIMIT FLAGS… measures our step.
step() {
	local name=$1 precision=$2 limit=$3 flags=
	shift 3
	[ "$precision" = f32 ] || flags=$PRECISION_FLAGS
	part "$name" "FocalGrid $precision" "$limit" "$RUNNER" bench step --engine "$ENGINE" --format json $flags "$@"
}

# peer NAME HOW LIMIT FLAGS… measures torchvision's step, in the precision that ours is compared in.
peer() {
	local name=$1 how=$2 limit=$3 absent=
	shift 3
	[ "$torch" = 0 ] || absent="$PYTHON has no torch and torchvision"
	part "$name" "torchvision $precision, $how" "$limit" "$PYTHON" "$here/peers/torch_gpu.py" --device "$device" --precision "$precision" "$@"
}

# measure CASE measures all programs on one network and size.
measure() {
	local px=${1#*-} steps=20 model net
	case $1 in
	r50-512x512) # with 8 classes, as the generated images of the same size have
		model="--model paper --set data.name=synthetic" net="--classes 8" ;;
	r50-*)
		model="--model paper" net="--classes 80" ;;
	mini-*)
		model="--model mini" steps=100
		net="--depth 18 --width 0.25 --norm batch --freeze 0 --fpn-channels 64 --head-norm group --anchor-base 2 --classes 4" ;;
	tiny-*)
		model="--model mini --warmup 1 $tiny" steps=2
		net="--depth 18 --width 0.125 --norm batch --freeze 0 --fpn-channels 8 --head-norm group --anchor-base 2 --classes 4 --warmup 1" ;;
	*)
		echo "gpu.sh: no case $1; known: r50-HxW, mini-HxW, with sides that are multiples of 32" >&2
		failed=1
		return ;;
	esac
	local size="--px $px --batch $BATCH --steps $steps"
	[ "$precision" = f32 ] || step "$1" bf16 120 $model $size --no-loader
	peer "$1" eager 90 $net $size
	peer "$1" compiled 150 $net $size --compile
	step "$1" f32 120 $model $size --no-loader
}

# rate prints the images a second of our first case, 0 if it has none.
rate() {
	"$PYTHON" - "$results" <<'END'
import json
import sys

with open(sys.argv[1]) as f:
    lines = [json.loads(line) for line in f]
ours = (line["result"] for line in lines if line["program"].startswith("FocalGrid") and line.get("result"))
print(round(next((r["images_per_second"] for r in ours if "images_per_second" in r), 0)))
END
}

table() {
	"$PYTHON" - "$results" "$BATCH" >"$out/table.md" <<'END'
import json
import sys

with open(sys.argv[1]) as f:
    lines = [json.loads(line) for line in f]


def of(line, key, scale=1, digits=1):
    """A figure of a line or of its result, as text."""
    result = line.get("result") or {}
    v = line.get(key) if key in line else result.get(key) if isinstance(result, dict) else None
    return "" if v is None else f"{v * scale:.{digits}f}"


steps = [line for line in lines if isinstance(line.get("result"), dict) and "images_per_second" in line["result"]]
rates = {(line["part"], line["program"]): line["result"]["images_per_second"] for line in steps}
header = ["case", "program", "computes in", "images/s", "ms a step", "over eager", "over compiled", "busy, %", "GPU GiB", "compile s"]
print("|", " | ".join(header), "|\n" + "| --- " * len(header) + "|")
for line in steps:
    r = line["result"]
    ours, precision = line["program"].split(" ", 1)
    row = [line["part"], line["program"], r["precision"], of(line, "images_per_second"), f"{r['ms']['median']:.2f}"]
    for how in ("eager", "compiled"):
        peer = rates.get((line["part"], f"torchvision {precision}, {how}"))
        row.append(f"{r['images_per_second'] / peer:.2f}" if peer and ours == "FocalGrid" else "")
    row += [of(line, "busy", 100, 0), of(line, "device_peak_bytes", 2**-30), of(line, "compile_seconds")]
    print("|", " | ".join(row), "|")
print()
for line in lines:
    if line["part"] == "sweep" and isinstance(line.get("result"), list):
        trained = [t for t in line["result"] if t["kind"] == "train" and t["wall_seconds"]]
        images = sum(t["attempts"][-1]["end_step"] * int(sys.argv[2]) for t in trained)
        seconds = sum(t["wall_seconds"] for t in trained)
        if trained:
            print(f"Sweep: {len(trained)} trials, {images} images in {seconds:.1f} s with compiling, checkpoints and evaluation: {images / seconds:.1f} images/s.\n")
    if line["part"] == "loader" and isinstance(line.get("result"), dict):
        for source in line["result"]["from"]:
            cores = f", {source['cores_for_the_feed']:.1f} cores for {line['result']['feed']:g}" if "cores_for_the_feed" in source else ""
            print(f"Loader from {source['name']}: {source['images_per_second']:.0f} images/s, {source['images_per_second_one_core']:.0f} on one core{cores}.\n")
for line in lines:
    if line["status"] != "ok":
        print(f"- {line['part']}, {line['program']}: {line['status']}{': ' + line['reason'] if 'reason' in line else ', see log.txt'}")
devices = sorted({f"{line['program'].split()[0]}: {line['result'].get('device')}" for line in steps})
versions = sorted({f"torch {r['torch']}, torchvision {r['torchvision']}" for r in (line["result"] for line in steps) if "torch" in r})
print("\n" + "; ".join(devices + versions))
END
}

left=$BUDGET
failed=0
precision=bf16
[ -n "$PRECISION_FLAGS" ] || precision=f32
part doctor FocalGrid 30 "$RUNNER" doctor --engine "$ENGINE"
if [ -n "${ENGINE_TEST:-}" ]; then
	plugin=$("$RUNNER" doctor | sed -n 's/^xla *plugin //p')
	plugin=${FOCALGRID_PJRT:-$plugin}
	[ -n "$plugin" ] || absent="no PJRT plugin; log.txt has where it was looked for"
	part suite FocalGrid 200 env FOCALGRID_PJRT="$plugin" "$ENGINE_TEST" -test.run "$ENGINE_RUN"
	absent=
fi
left=$((BUDGET - reserve))
for name in $CASES; do
	measure "$name"
	table
done
left=$BUDGET
if [ -n "$CASES" ]; then
	images="--model mini --px 512 $tiny"
	[ -n "$tiny" ] || step r50-512x512-loader "$precision" 60 --model paper --set data.name=synthetic --px 512 --batch "$BATCH" --steps 30
	[ -z "${DATA:-}" ] || images="--model paper --px 800x1333 --data $DATA"
	[ -z "$tiny" ] || images="--model mini $tiny"
	part loader FocalGrid 40 "$RUNNER" bench loader $images --batch "$BATCH" --steps 4 --feed "$(rate)" --format json
	flags="--engine $ENGINE --db $tmp/sweep.db"
	sets="$PRECISION_FLAGS $tiny --set train.batch=$BATCH --set train.iters=$iters --set pretrain.type=none"
	part sweep FocalGrid 90 "$BASH" -c "'$RUNNER' sweep gamma --only loss.gamma=0,2 --seeds 0 $flags $sets >&2 && '$RUNNER' ls --db $tmp/sweep.db --format json"
fi
table
cat "$out/table.md"
if grep -qE '"status": "(failed|timed out)"' "$results"; then
	failed=1
fi
exit $failed
