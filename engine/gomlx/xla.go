package gomlx

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"

	_ "focalgrid/engine/gomlx/quiet"
)

// virtualDevices is how many devices a plugin for CPUs has at most. It makes those that are asked for, and they share
// the cores: the bound catches mistyped numbers.
const virtualDevices = 64

// openXLA loads a plugin and opens its devices. It returns the kind of backend and device.
func (e *Engine) openXLA() (kind string, err error) {
	path, err := FindPlugin(e.opt.Plugin)
	if err != nil {
		return "", err
	}
	if strings.Contains(path, ",") {
		return "", fmt.Errorf("PJRT plugin %s: GoMLX reads what follows a comma as options: rename the folder or the file", path)
	}
	options := pjrt.NamedValuesMap{}
	switch {
	case pjrt.IsCUDAName(path):
		prepareCUDA(path)
	case strings.Contains(strings.ToLower(path), "cpu"):
		e.virtual = true
		options["cpu_device_count"] = int64(min(e.mesh.size, virtualDevices)) // else there are four
	}
	b, err := xla.NewWithOptions(path+",tf32=false", options)
	if err != nil {
		return "", fmt.Errorf("PJRT plugin %s: %w", path, err)
	}
	e.backend = b
	if err := e.enough("the PJRT plugin " + path); err != nil {
		return "", err
	}
	device := deviceKind(b.DeviceDescription(0))
	e.info.Device, e.info.Threads, e.info.Exact = strings.ToUpper(device), 0, device == "cpu"
	e.plugin = sync.OnceValue(func() string { return fingerprint(path) })
	return "xla-" + device, nil
}

// deviceKind is the kind within a plugin's description of a device, such as "cpu:0 [processId=0]".
func deviceKind(description string) string {
	kind := strings.ToLower(description)
	if i := strings.IndexFunc(kind, func(r rune) bool { return r < 'a' || r > 'z' }); i >= 0 {
		kind = kind[:i]
	}
	return cmp.Or(kind, "device")
}

// prepareCUDA sets what NVIDIA's libraries read when they start, where the user has not: the folder of CUDA's files
// beside a plugin of JAX, and no TF32 in convolutions, which the plugin has no option for.
func prepareCUDA(path string) {
	set := func(name, value string) {
		os.Setenv(name, cmp.Or(os.Getenv(name), value))
	}
	set("GOPJRT_CUDA_CHECKS", "0") // it looks for CUDA in another folder than JAX's, and warns
	set("NVIDIA_TF32_OVERRIDE", "0")
	site := filepath.Dir(filepath.Dir(filepath.Dir(path)))
	for _, dir := range []string{"cu13", "cuda_nvcc"} {
		if dir = filepath.Join(site, "nvidia", dir); exists(dir) {
			const flag = "--xla_gpu_cuda_data_dir="
			if flags := os.Getenv("XLA_FLAGS"); !strings.Contains(flags, flag) {
				os.Setenv("XLA_FLAGS", strings.TrimSpace(flags+" "+flag+dir))
			}
			return
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
