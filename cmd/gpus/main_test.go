package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"focalgrid/gpu"
)

// headers is the environment variable that lists folders with a cuda.h each, one for each version to compile with.
const headers = "FOCALGRID_CUDA_INCLUDE"

// TestGPUs compiles gpus with each version of CUDA's headers, and runs it with a driver made for the test.
func TestGPUs(t *testing.T) {
	folders := filepath.SplitList(os.Getenv(headers))
	if len(folders) == 0 {
		t.Skipf("%s names no folder with a cuda.h: gpus is not compiled", headers)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	driver := filepath.Join(dir, "libcuda.so.1")
	run(t, nil, "gcc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", driver, "testdata/libcuda.c")
	if err := os.Symlink(driver, filepath.Join(dir, "libcuda.so")); err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			bin := filepath.Join(t.TempDir(), "gpus")
			env := []string{
				"CGO_ENABLED=1", "CGO_CFLAGS=-I" + filepath.Join(here, "include") + " -I" + folder,
				// The driver lacks what gpus does not call. Trap: with the temporary folder among the flags, the
				// package cu would be compiled anew each time.
				"CGO_LDFLAGS=-Wl,--unresolved-symbols=ignore-all -Wl,-z,lazy", "LIBRARY_PATH=" + dir,
			}
			run(t, env, "go", "build", "-tags", "gpus", "-o", bin, ".")
			run(t, env, "go", "vet", "-tags", "gpus", ".")
			t.Run("two devices", func(t *testing.T) {
				out, err := ask(bin, dir, "two")
				var got gpu.List
				if err == nil {
					err = json.Unmarshal([]byte(out), &got)
				}
				want := gpu.List{CUDA: "13.1", Devices: []gpu.Device{
					{Index: 0, Name: "NVIDIA H200", Compute: "9.0", Memory: 139 << 30, UUID: "GPU-a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"},
					{Index: 1, Name: "NVIDIA L4", Compute: "8.9", Memory: 22 << 30, UUID: "GPU-b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf"},
				}}
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s\n%+v, %v\nwant %+v", out, got, err, want)
				}
			})
			for fake, want := range map[string]string{"none": "NoDevice", "mismatch": "SystemDriverMismatch", "lost": "gpus: device 1: "} {
				t.Run(fake, func(t *testing.T) {
					out, err := ask(bin, dir, fake)
					var exit *exec.ExitError
					if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, want) || strings.Contains(out, "{") {
						t.Errorf("%v with %q, want exit status 1 with %q and no JSON", err, out, want)
					}
				})
			}
		})
	}
}

// ask runs gpus with the driver of a folder, and returns all that it prints.
func ask(bin, dir, fake string) (string, error) {
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "FAKE_CUDA="+fake)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, bytes.TrimSpace(out))
	}
}
