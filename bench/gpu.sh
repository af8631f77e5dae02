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
#   PRECISION_FLAGS  flags of `runner bench step` and `runner sweep` under which they compute in bfloat16. Empty:
#                    everything runs in float32, torchvision too           (--set train.precision=bf16)
#   ENGINE_TEST      test binary of the engine (go test -c ./engine/gomlx): its conformance suite runs first
#   ENGINE_RUN       tests of it                                          (TestXLA/^(f32|bf16)-nchw$)
#   CASES            cases, space-separated; none: only the suite
#                    (r50-800x1344 mini-128x128 r50-512x512 r50-608x1024)
#   BATCH            images                                                                     (16)
#   DATA             folder in COCO's layout, whose loading is measured instead of generated images'
#   BUDGET           seconds for everything                                                     (520)
#   SMALL            1: a rehearsal on the CPU, on tiny networks, with ten times the limits
set -u

die() { echo "gpu.sh: $*" >&2; exit 2; }

[ $# = 1 ] || die "want the folder for the results: RUNNER=./runner bench/gpu.sh OUTDIR"
here=$(cd "$(dirname "$0")" && pwd)
out=$1
PYTHON=${PYTHON:-python3}
ENGINE=${ENGINE:-xla}
PRECISION_FLAGS=${PRECISION_FLAGS---set train.precision=bf16}
ENGINE_RUN=${ENGINE_RUN:-'TestXLA/^(f32|bf16)-nchw$'}
CASES=${CASES-r50-800x1344 mini-128x128 r50-512x512 r50-608x1024}
BATCH=${BATCH:-16}
device=cuda
reserve=90 # seconds that the cases leave to what comes after them
patience=1 # times as long as the limits say
iters=300
tiny=
if [ "${SMALL:-}" = 1 ]; then
	CASES=tiny-64x64
	BATCH=2
	device=cpu
	patience=10
	iters=3
	tiny="--set model.width=0.125 --set model.fpn=8 --set data.pixels=64 --set image.short=64 --set image.long=64"
	tiny="$tiny --set data.images.train=8 --set data.images.tune=1 --set data.images.val=4"
fi
BUDGET=${BUDGET:-$((520 * patience))}
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
	local name=$1 program=$2 limit=$((patience * $3)) skip=()
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
	part "$name" "torchvision $precision, $how" "$limit" \
		"$PYTHON" "$here/peers/torch_gpu.py" --device "$device" --precision "$precision" "$@"
}

# measure CASE measures all programs on one network and size.
measure() {
	local px=${1#*-} steps=20 model net
	local light="--depth 18 --norm batch --freeze 0 --head-norm group --anchor-base 2 --classes 4"
	case $1 in
	r50-512x512) # the network that trains on generated images of this size
		model="--model r50" net="--freeze 0 --classes 4" ;;
	r50-*)
		model="--model paper" net="--classes 80" ;;
	mini-*)
		model="--model mini" steps=100
		net="$light --width 0.25 --fpn-channels 64" ;;
	tiny-*)
		model="--model mini --warmup 1 $tiny" steps=2
		net="$light --width 0.125 --fpn-channels 8 --warmup 1" ;;
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

# table writes what is known so far.
table() { "$PYTHON" "$here/peers/gpu_table.py" --batch "$BATCH" "$results" >"$out/table.md"; }

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
	large="--model r50 --px 512 --batch $BATCH --steps 30"
	[ -n "$tiny" ] || step r50-512x512-loader "$precision" 60 $large
	images="--model mini --px 512"
	[ -z "${DATA:-}" ] || images="--model paper --px 800x1333 --data $DATA"
	[ -z "$tiny" ] || images="--model mini $tiny"
	feed=$("$PYTHON" "$here/peers/gpu_table.py" --rate "$results")
	part loader FocalGrid 40 "$RUNNER" bench loader $images --batch "$BATCH" --steps 4 --feed "$feed" --format json
	sweep="--engine $ENGINE --only loss.gamma=0,2 --seeds 0 $PRECISION_FLAGS $tiny"
	sweep="$sweep --set train.batch=$BATCH --set train.iters=$iters --set pretrain.type=none"
	list="'$RUNNER' ls --db '$tmp/sweep.db' --format json"
	part sweep FocalGrid 90 "$BASH" -c "'$RUNNER' sweep gamma --db '$tmp/sweep.db' $sweep >&2 && $list"
fi
table
cat "$out/table.md"
if grep -qE '"status": "(failed|timed out)"' "$results"; then
	failed=1
fi
exit $failed
