#!/usr/bin/env python3
"""Runs a command, watches the GPU meanwhile, and appends one line of JSON to a file: a part of bench/gpu.sh.

The line names the part and the program. `status` is ok, failed, timed out or skipped, `seconds` the time of the whole
command and `result` the JSON that it printed, null if it printed none. Where nvidia-smi answers there are also

  busy               the mean of utilization.gpu, as a share, between `begin` and `end` of the result (seconds since
                     1970), or over the whole command where it has none; null without a sample in between
  device_peak_bytes  the most memory.used, above what was used before the command

utilization.gpu is the share of the driver's last sampling period, up to a second, in which a kernel ran: it does not
say how much of the GPU that kernel used. Both are of the first GPU. SMI names another program than nvidia-smi.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime


class Watch:
    """Samples of nvidia-smi, ten a second: (time, utilization in percent, memory in MiB)."""

    def __init__(self):
        self.samples = []
        query = "--query-gpu=timestamp,utilization.gpu,memory.used"
        command = [os.environ.get("SMI", "nvidia-smi"), "-i", "0", "-lms", "100", query, "--format=csv,noheader,nounits"]
        try:
            self.smi = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            self.smi = None
            return
        first = threading.Event()
        self.reader = threading.Thread(target=self.read, args=(first,), daemon=True)
        self.reader.start()
        first.wait(10)
        self.idle = self.samples[0][2] if self.samples else 0

    def read(self, first):
        for line in self.smi.stdout:
            try:
                stamp, busy, used = (field.strip() for field in line.split(","))
                when = datetime.strptime(stamp, "%Y/%m/%d %H:%M:%S.%f").timestamp()
                self.samples.append((when, float(busy), float(used)))
            except ValueError:
                continue  # such as "[N/A]"
            first.set()
        first.set()

    def end(self, begin, end):
        """Stops, and returns what was seen."""
        if self.smi is None:
            return {}
        self.smi.terminate()
        self.reader.join(10)
        self.smi.wait()
        if not self.samples:
            return {}
        busy = [percent / 100 for when, percent, _ in self.samples if begin <= when <= end]
        return {
            "busy": sum(busy) / len(busy) if busy else None,
            "device_peak_bytes": (max(used for _, _, used in self.samples) - self.idle) * 2**20,
        }


def within(seconds, command, log):
    """Runs a command for that long at most; returns its exit code and what it printed."""
    command = ["timeout", "-k", "5", str(seconds), *command]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, errors="replace")
    try:
        out, _ = child.communicate()
    except BaseException:  # Ctrl-C does not reach the command, which timeout has taken away from the terminal
        child.terminate()
        raise
    return child.returncode, out


def run(a):
    watch = Watch()
    started = time.time()
    with open(a.log, "a") as log:
        print(f"\n== {a.part}, {a.program}: {' '.join(a.command)}", file=log, flush=True)
        try:
            code, out = within(a.limit, a.command, log)
        except OSError as err:
            code, out = 127, f"{err}\n"
        ended = time.time()
        log.write(out)
    try:
        result = json.loads(out)
    except ValueError:
        result = None
    status = "ok" if code == 0 else "timed out" if code in (124, 137) else "failed"
    timed = result if isinstance(result, dict) and "begin" in result else {"begin": started, "end": ended}
    seen = watch.end(timed["begin"], timed["end"])
    return {"status": status, "seconds": round(ended - started, 1), "result": result, **seen}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--to", required=True, help="file that the line is appended to")
    parser.add_argument("--log", required=True, help="file for all that the command prints")
    parser.add_argument("--part", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--limit", type=int, default=60, help="seconds after which the command is ended")
    parser.add_argument("--skip", help="run nothing, for this reason")
    parser.add_argument("command", nargs="+")
    a = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    line = {"part": a.part, "program": a.program}
    line |= {"status": "skipped", "reason": a.skip} if a.skip else run(a)
    with open(a.to, "a") as f:
        print(json.dumps(line), file=f)
    rate = line["result"] if isinstance(line.get("result"), dict) else {}
    said = f"{rate['images_per_second']:.1f} images/s" if "images_per_second" in rate else a.skip or ""
    print(f"{a.part}, {a.program}: {line['status']} {said} ({line.get('seconds', 0):.0f} s)", file=sys.stderr)


if __name__ == "__main__":
    main()
