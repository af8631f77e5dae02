package gpu

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long a program may take: the driver of a machine with many GPUs may start first.
const patience = 30 * time.Second

// closing is how long the output of a program that was ended may stay open.
const closing = time.Second

// Find lists the GPUs that this process may use. The error is one line that says where GPUs were looked for, and what
// the programs said that were asked in vain.
func Find(ctx context.Context) (List, error) {
	s := search{limit: patience, order: os.Getenv("CUDA_DEVICE_ORDER")}
	if self, err := os.Executable(); err == nil {
		s.beside = filepath.Dir(self)
	}
	if value, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES"); ok {
		s.visible = &value
	}
	return s.find(ctx)
}

// search is where GPUs are looked for, and which of them may be used.
type search struct {
	beside  string  // the folder of gpus
	visible *string // CUDA_VISIBLE_DEVICES; nil: it is not set
	order   string  // CUDA_DEVICE_ORDER
	limit   time.Duration
}

func (s search) find(ctx context.Context) (List, error) {
	if s.visible != nil && strings.Contains(*s.visible, "MIG-") {
		return List{}, errors.New("CUDA_VISIBLE_DEVICES names parts of GPUs (MIG), which are not listed, and are used as named")
	}
	list, err := s.askCUDA(ctx)
	all, smiErr := s.askSMI(ctx)
	switch {
	case err == nil && smiErr == nil:
		list.Driver, list.By = all.Driver, "gpus and nvidia-smi"
		for i := range list.Devices {
			for _, d := range all.Devices {
				if d.UUID == list.Devices[i].UUID {
					list.Devices[i].Free = d.Free
				}
			}
		}
	case err == nil:
		list.By = "gpus; " + smiErr.Error()
	case smiErr == nil:
		list, list.By = all, "nvidia-smi; "+err.Error()
		if list.Devices, smiErr = s.choose(all.Devices); smiErr != nil {
			return List{}, smiErr
		}
	default:
		return List{}, fmt.Errorf("%w; %w", err, smiErr)
	}
	if len(list.Devices) == 0 {
		why := ""
		if s.visible != nil {
			why = fmt.Sprintf(", CUDA_VISIBLE_DEVICES is %q", *s.visible)
		}
		return List{}, fmt.Errorf("no GPU is shown to this process%s (asked: %s)", why, list.By)
	}
	return list, nil
}

// askCUDA asks gpus, which CUDA shows the devices that this process may use.
func (s search) askCUDA(ctx context.Context) (List, error) {
	path := filepath.Join(s.beside, "gpus")
	if _, err := os.Stat(path); s.beside == "" || errors.Is(err, fs.ErrNotExist) {
		return List{}, fmt.Errorf("no program gpus in %s", cmp.Or(s.beside, "the folder of this program"))
	}
	out, err := s.run(ctx, path)
	if err != nil {
		return List{}, fmt.Errorf("no GPU, or an error of its driver: %w", err)
	}
	list, err := parseCUDA(out)
	if err != nil {
		return List{}, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parseCUDA(text []byte) (List, error) {
	var list List
	if err := json.Unmarshal(text, &list); err != nil {
		return List{}, fmt.Errorf("want JSON of its devices: %w", err)
	}
	for _, d := range list.Devices {
		if err := d.check(); err != nil {
			return List{}, err
		}
	}
	return list, nil
}

// fields are what nvidia-smi is asked about each device; parseSMI reads them in this order.
const fields = "index,name,compute_cap,memory.total,memory.free,uuid,driver_version"

// askSMI asks nvidia-smi, which lists all devices, in the order of their places on the bus.
func (s search) askSMI(ctx context.Context) (List, error) {
	path, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return List{}, errors.New("no nvidia-smi in PATH")
	}
	out, err := s.run(ctx, path, "--query-gpu="+fields, "--format=csv,noheader,nounits")
	if err != nil {
		return List{}, err
	}
	list, err := parseSMI(string(out))
	if err != nil {
		return List{}, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parseSMI(text string) (List, error) {
	var list List
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line == "No devices were found" {
			continue
		}
		cells := strings.Split(line, ", ")
		if len(cells) != strings.Count(fields, ",")+1 {
			return List{}, fmt.Errorf("want the values of %s, got %q", fields, line)
		}
		for i, cell := range cells {
			if strings.HasPrefix(cell, "[") { // [N/A], [Not Supported], [Unknown Error]
				cells[i] = ""
			}
		}
		d := Device{Name: cells[1], Compute: cells[2], UUID: cells[5]}
		var err error
		if d.Index, err = strconv.Atoi(cells[0]); err != nil {
			return List{}, fmt.Errorf("want an index at the start of %q", line)
		}
		if d.Memory, err = mebibytes(cells[3]); err == nil {
			d.Free, err = mebibytes(cells[4])
		}
		if err == nil {
			err = d.check()
		}
		if err != nil {
			return List{}, fmt.Errorf("%w, in %q", err, line)
		}
		list.Devices, list.Driver = append(list.Devices, d), cells[6]
	}
	return list, nil
}

// mebibytes reads a number of MiB; an empty text is 0.
func mebibytes(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>20 {
		return 0, fmt.Errorf("want a number of MiB, got %q", text)
	}
	return n << 20, nil
}

// run returns what a program prints. The error is one line with the first line that it printed, if it printed any: cu
// prints its errors to standard output.
func (s search) run(ctx context.Context, path string, args ...string) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, s.limit)
	defer stop()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = closing
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, fmt.Errorf("%s: no answer within %s", path, s.limit)
	}
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(string(out)+stderr.String()), "\n")
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(cmp.Or(said, err.Error()), path+": "))
	}
	return out, nil
}

// choose returns the devices that CUDA shows to a process with this search's CUDA_VISIBLE_DEVICES, in its order. It
// holds numbers and beginnings of UUIDs, and ends at an empty one or at a number below 0. The error is about one that
// names no device here: CUDA would end there in silence.
func (s search) choose(all []Device) ([]Device, error) {
	if s.visible == nil {
		return all, nil
	}
	var chosen []Device
	for name := range strings.SplitSeq(*s.visible, ",") {
		name = strings.TrimSpace(name)
		n, err := strconv.Atoi(name)
		number := err == nil
		if name == "" || number && n < 0 {
			break
		}
		if number && s.order != "PCI_BUS_ID" && mixed(all) {
			return nil, fmt.Errorf("CUDA_VISIBLE_DEVICES=%s counts GPUs of several models in CUDA's order, which nvidia-smi does not show: use UUIDs, or set CUDA_DEVICE_ORDER=PCI_BUS_ID", *s.visible)
		}
		i := slices.IndexFunc(all, func(d Device) bool {
			if number {
				return d.Index == n
			}
			return strings.HasPrefix(d.UUID, name)
		})
		if i < 0 {
			return nil, fmt.Errorf("CUDA_VISIBLE_DEVICES=%s: nvidia-smi shows no device %q", *s.visible, name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// mixed reports whether devices are of several models.
func mixed(all []Device) bool {
	return slices.ContainsFunc(all, func(d Device) bool { return d.Name != all[0].Name })
}
