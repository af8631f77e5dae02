package gomlx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindPlugin looks for plugins in made-up folders.
func TestFindPlugin(t *testing.T) {
	const jax, other = "site-packages/jax_plugins/xla_cuda13/xla_cuda_plugin.so", "lib/pjrt_c_api_cpu_plugin.so"
	for _, c := range []struct {
		name  string
		files []string // below a folder of the test
		named string   // the environment's, below the same folder
		want  string   // below the same folder
		err   string
	}{
		{"the environment comes first", []string{jax, other, "my.so"}, "my.so", "my.so", ""},
		{"JAX's comes before a library", []string{jax, other}, "", jax, ""},
		{"of jaxlib", []string{"site-packages/jaxlib/libpjrt_cpu.so"}, "", "site-packages/jaxlib/libpjrt_cpu.so", ""},
		{"in a folder of libraries", []string{other, "lib/libm.so"}, "", other, ""},
		{"by any name of GoMLX", []string{"lib/pjrt-plugin-cpu.so"}, "", "lib/pjrt-plugin-cpu.so", ""},
		{"a folder is no plugin", []string{"lib/pjrt.so/file"}, "", "", "no PJRT plugin found: looked for jax_plugins/*/*plugin*.so,"},
		{"named, and not there", []string{jax}, "gone.so", "", "FOCALGRID_PJRT names DIR/gone.so, which does not exist"},
		{"named, and a folder", []string{jax}, "site-packages", "", "FOCALGRID_PJRT names DIR/site-packages, which is no file: name the .so within"},
		{"nowhere", nil, "", "", "below DIR/site-packages, and for *pjrt*.so, *pjrt*.dylib in DIR/lib; set FOCALGRID_PJRT to the path of one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range c.files {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, nil, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if c.named != "" {
				c.named = filepath.Join(dir, c.named)
			}
			places := search{named: c.named, sites: func() []string { return []string{filepath.Join(dir, "site-packages")} }, folders: []string{filepath.Join(dir, "lib")}}
			got, err := places.find("")
			if c.err == "" {
				if want := filepath.Join(dir, filepath.FromSlash(c.want)); err != nil || got != want {
					t.Fatalf("%q, %v; want %q", got, err, want)
				}
				if byOption, err := places.find(got); byOption != got || err != nil {
					t.Errorf("named by the option: %q, %v", byOption, err)
				}
				return
			}
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), dir, "DIR"), c.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, error %v; want one line with %q", got, err, c.err)
			}
		})
	}
	none := search{sites: func() []string { return nil }}
	if _, err := none.find(""); err == nil || !strings.Contains(err.Error(), "below the packages of python3, which was not found") {
		t.Errorf("without python3: error %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugin.so")
	if err := os.WriteFile(path, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	want := path + " sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // of FIPS 180-2
	if got := fingerprint(path); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDeviceKind(t *testing.T) {
	for description, want := range map[string]string{"cpu:0 [processId=0]": "cpu", "CUDA_1": "cuda", "gpu": "gpu", "": "device", "0": "device"} {
		if got := deviceKind(description); got != want {
			t.Errorf("%q: %q, want %q", description, got, want)
		}
	}
}

// TestPrepareCUDA keeps what the user set, and points XLA to the files beside a plugin of JAX.
func TestPrepareCUDA(t *testing.T) {
	site := t.TempDir()
	plugin := filepath.Join(site, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so")
	cuda := filepath.Join(site, "nvidia", "cu13")
	if err := os.MkdirAll(cuda, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flags, tf32, wantFlags, wantTF32 string }{
		{"", "", "--xla_gpu_cuda_data_dir=" + cuda, "0"},
		{"--a=b", "1", "--a=b --xla_gpu_cuda_data_dir=" + cuda, "1"},
		{"--xla_gpu_cuda_data_dir=/x", "", "--xla_gpu_cuda_data_dir=/x", "0"},
	} {
		t.Setenv("XLA_FLAGS", c.flags)
		t.Setenv("NVIDIA_TF32_OVERRIDE", c.tf32)
		t.Setenv("GOPJRT_CUDA_CHECKS", "")
		prepareCUDA(plugin)
		if got := os.Getenv("XLA_FLAGS"); got != c.wantFlags {
			t.Errorf("from flags %q: %q, want %q", c.flags, got, c.wantFlags)
		}
		if got := os.Getenv("NVIDIA_TF32_OVERRIDE"); got != c.wantTF32 {
			t.Errorf("from TF32 %q: %q, want %q", c.tf32, got, c.wantTF32)
		}
	}
}
