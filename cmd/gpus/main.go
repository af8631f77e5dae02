//go:build gpus

// Command gpus prints the GPUs that CUDA shows to it, and the newest version of CUDA that the driver offers, as JSON:
// a gpu.List. `runner` starts it where it lies beside it. docs/gpu.md says how to build it.
//
// It is a program of its own, behind a build tag of its own, because the package cu needs CUDA's headers to compile and
// the driver's library to start, and ends the process where there is no GPU: with exit status 1, after one line on
// standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"gorgonia.org/cu"

	"focalgrid/gpu"
)

func main() {
	list, err := list()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(list)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gpus:", err)
		os.Exit(1)
	}
}

func list() (gpu.List, error) {
	l := gpu.List{Devices: []gpu.Device{}}
	if v := cu.Version(); v > 0 { // 1000 times the major version and 10 times the minor one
		l.CUDA = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	n, err := cu.NumDevices()
	if err != nil {
		return l, fmt.Errorf("the number of devices: %w", err)
	}
	for i := range n {
		d, err := describe(i)
		if err != nil {
			return l, fmt.Errorf("device %d: %w", i, err)
		}
		l.Devices = append(l.Devices, d)
	}
	return l, nil
}

func describe(index int) (gpu.Device, error) {
	d := gpu.Device{Index: index}
	device, err := cu.GetDevice(index)
	if err != nil {
		return d, err
	}
	if d.Name, err = device.Name(); err != nil {
		return d, fmt.Errorf("its name: %w", err)
	}
	if d.Memory, err = device.TotalMem(); err != nil {
		return d, fmt.Errorf("its memory: %w", err)
	}
	major, minor, err := device.ComputeCapability()
	if err != nil {
		return d, err
	}
	d.Compute = fmt.Sprintf("%d.%d", major, minor)
	uuid, err := device.UUID()
	if err != nil {
		return d, fmt.Errorf("its UUID: %w", err)
	}
	d.UUID = "GPU-" + uuid.String()
	return d, nil
}
