// Package gpu finds the GPUs of this machine, and gives out places on them to the processes of sweeps.
//
// Find asks two programs, as the runner itself must run on machines without a driver: gpus (cmd/gpus), which asks CUDA,
// and NVIDIA's nvidia-smi. It returns the devices that CUDA shows to this process, as CUDA_VISIBLE_DEVICES has them;
// parts of GPUs (MIG) are not listed. Take gives out a place on one of them. Memory is in bytes.
package gpu

import (
	"cmp"
	"fmt"
	"regexp"
)

// List is what is known of the GPUs that this process may use. Package main of cmd/gpus prints it as JSON.
type List struct {
	CUDA    string   `json:"cuda"` // the newest version that the driver offers, such as "13.0"; empty: not known
	Devices []Device `json:"devices"`

	Driver string `json:"-"` // its version, such as "580.65.06"; empty: not known
	By     string `json:"-"` // who knows it, and who was asked in vain
}

// Device is a GPU.
type Device struct {
	Index   int    `json:"index"` // among those that the program which listed it sees
	Name    string `json:"name"`
	Compute string `json:"compute"` // capability, such as "9.0"; empty: not known
	Memory  int64  `json:"memory"`  // in all; 0: not known
	UUID    string `json:"uuid"`    // names it on any machine, such as "GPU-8b1c…"

	Free int64 `json:"-"` // memory when it was listed; 0: not known
}

// String names the device for a reader.
func (d Device) String() string { return fmt.Sprintf("%s (%s)", cmp.Or(d.Name, "GPU"), d.UUID) }

// uuids are NVIDIA's names of devices. They become parts of file names.
var uuids = regexp.MustCompile(`^GPU-[0-9a-zA-Z-]+$`)

// check reports a device that no driver has.
func (d Device) check() error {
	switch {
	case !uuids.MatchString(d.UUID):
		return fmt.Errorf("a device with the UUID %q; want GPU- and what names it", d.UUID)
	case d.Index < 0 || d.Memory < 0 || d.Free < 0:
		return fmt.Errorf("device %s has a number below 0", d.UUID)
	}
	return nil
}
