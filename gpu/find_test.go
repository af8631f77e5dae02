package gpu

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Two devices as nvidia-smi and gpus show them.
const (
	one = "GPU-1b1c1d1e-0000-4000-8000-000000000001"
	two = "GPU-2b2c2d2e-0000-4000-8000-000000000002"

	smiTwo = "0, NVIDIA H200, 9.0, 143771, 143133, " + one + ", 580.65.06\n" +
		"1, NVIDIA L4, 8.9, 23034, 22563, " + two + ", 580.65.06\n"
	cudaTwo = `{"cuda":"13.0","devices":[` +
		`{"index":0,"name":"NVIDIA L4","compute":"8.9","memory":23659937792,"uuid":"` + two + `"},` +
		`{"index":1,"name":"NVIDIA H200","compute":"9.0","memory":150121545728,"uuid":"` + one + `"}]}`
)

func TestParseSMI(t *testing.T) {
	h200 := Device{Index: 0, Name: "NVIDIA H200", Compute: "9.0", Memory: 143771 << 20, Free: 143133 << 20, UUID: one}
	l4 := Device{Index: 1, Name: "NVIDIA L4", Compute: "8.9", Memory: 23034 << 20, Free: 22563 << 20, UUID: two}
	unknown := Device{Index: 0, Name: "NVIDIA GB10", Compute: "12.1", UUID: one}
	for _, tt := range []struct {
		name, text, driver string
		want               []Device
		err                string // part of it; empty: none
	}{
		{"two devices", smiTwo, "580.65.06", []Device{h200, l4}, ""},
		{"ends of lines of Windows", strings.ReplaceAll(smiTwo, "\n", "\r\n"), "580.65.06", []Device{h200, l4}, ""},
		{"memory that is the machine's", "0, NVIDIA GB10, 12.1, [N/A], [N/A], " + one + ", [N/A]\n", "", []Device{unknown}, ""},
		{"nothing", "", "", nil, ""},
		{"no device", "No devices were found\n", "", nil, ""},
		{"an error instead", "Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.\n", "", nil, `got "Unable to determine`},
		{"an error of one device", smiTwo + "Unable to determine the device handle\n", "", nil, "want the values of index,name"},
		{"no UUID", "0, NVIDIA H200, 9.0, 143771, 143133, [N/A], 580.65.06\n", "", nil, `a device with the UUID ""`},
		{"a UUID that is a path", "0, NVIDIA H200, 9.0, 143771, 143133, GPU-../../x, 580.65.06\n", "", nil, `a device with the UUID "GPU-../../x"`},
		{"no index", "[N/A], NVIDIA H200, 9.0, 1, 1, " + one + ", 1\n", "", nil, "want an index"},
		{"an index below 0", "-1, NVIDIA H200, 9.0, 1, 1, " + one + ", 1\n", "", nil, "a number below 0"},
		{"units", "0, NVIDIA H200, 9.0, 143771 MiB, 143133, " + one + ", 1\n", "", nil, `want a number of MiB, got "143771 MiB"`},
		{"too much memory", "0, NVIDIA H200, 9.0, 1, 9223372036854775807, " + one + ", 1\n", "", nil, "want a number of MiB"},
		{"memory below 0", "0, NVIDIA H200, 9.0, -1, 1, " + one + ", 1\n", "", nil, "want a number of MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSMI(tt.text)
			if !reflect.DeepEqual(got.Devices, tt.want) || got.Driver != tt.driver || !says(err, tt.err) {
				t.Errorf("%+v, %v\nwant %+v of driver %q, error %q", got, err, tt.want, tt.driver, tt.err)
			}
		})
	}
}

// says reports whether an error contains a text, or there is none and the text is empty.
func says(err error, text string) bool {
	if err == nil || text == "" {
		return err == nil && text == ""
	}
	return strings.Contains(err.Error(), text) && !strings.Contains(err.Error(), "\n")
}

func FuzzParseSMI(f *testing.F) {
	f.Add(smiTwo)
	f.Add("0, [N/A], [N/A], [N/A], [N/A], " + one + ", [N/A]\nNo devices were found\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseSMI(text)
		wellFormed(t, list, err)
	})
}

func FuzzParseCUDA(f *testing.F) {
	f.Add([]byte(cudaTwo))
	f.Add([]byte(`{"cuda":"","devices":[]}`))
	f.Add([]byte("Error in initialization\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseCUDA(text)
		wellFormed(t, list, err)
	})
}

// wellFormed checks what the rest of the program relies on: a UUID can be part of a file's name.
func wellFormed(t *testing.T, list List, err error) {
	if err != nil && len(list.Devices) > 0 {
		t.Errorf("devices %+v beside the error %v", list.Devices, err)
	}
	for _, d := range list.Devices {
		if d.UUID == "" || filepath.Base(d.UUID) != d.UUID || d.Memory < 0 || d.Free < 0 || d.Index < 0 {
			t.Errorf("device %+v", d)
		}
	}
}

// programs makes a folder with scripts by name, and a search that finds them there alone.
func programs(t *testing.T, scripts map[string]string) search {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs are scripts of sh")
	}
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return search{beside: dir, limit: time.Minute}
}

func show(text string) string { return "/bin/cat <<'END'\n" + text + "\nEND\n" }

// What each program says, or that it is not there, comes to one list or one line.
func TestFind(t *testing.T) {
	noDevice := "echo 'Error in initialization, please refer to \"https://docs\" for details on: NoDevice'; exit 1\n"
	smi := show(strings.TrimSpace(smiTwo))
	value := func(s string) *string { return &s }
	for _, tt := range []struct {
		name    string
		scripts map[string]string
		visible *string
		order   string
		want    []string // UUIDs
		by      string   // part of List.By
		err     string   // part of the error; empty: none
	}{
		{"neither", nil, nil, "", nil, "", "no nvidia-smi in PATH"},
		{"both", map[string]string{"gpus": show(cudaTwo), "nvidia-smi": smi}, nil, "", []string{two, one}, "gpus and nvidia-smi", ""},
		{"gpus alone", map[string]string{"gpus": show(cudaTwo)}, nil, "", []string{two, one}, "gpus; no nvidia-smi in PATH", ""},
		{"nvidia-smi alone", map[string]string{"nvidia-smi": smi}, nil, "", []string{one, two}, "nvidia-smi; no program gpus in /", ""},
		{"gpus without a driver", map[string]string{"gpus": noDevice, "nvidia-smi": smi}, nil, "", []string{one, two}, "for details on: NoDevice", ""},
		{"gpus without a GPU", map[string]string{"gpus": noDevice}, nil, "", nil, "", "no GPU, or an error of its driver: "},
		{"gpus that prints no JSON", map[string]string{"gpus": "echo hello\n"}, nil, "", nil, "", "want JSON of its devices"},
		{"gpus with a bad UUID", map[string]string{"gpus": show(strings.Replace(cudaTwo, two, "GPU/2", 1))}, nil, "", nil, "", `the UUID "GPU/2"`},
		{"gpus that shows none", map[string]string{"gpus": show(`{"cuda":"13.0","devices":[]}`)}, nil, "", nil, "", "no GPU is shown to this process (asked: gpus; no nvidia-smi in PATH)"},
		{"nvidia-smi that fails", map[string]string{"nvidia-smi": "echo has failed; echo more; exit 9\n"}, nil, "", nil, "", "nvidia-smi: has failed"},
		{"nvidia-smi that fails in silence", map[string]string{"nvidia-smi": "exit 9\n"}, nil, "", nil, "", "exit status 9"},
		{"nvidia-smi that fails on stderr", map[string]string{"nvidia-smi": "echo lost >&2; exit 15\n"}, nil, "", nil, "", "nvidia-smi: lost"},
		{"nvidia-smi without devices", map[string]string{"nvidia-smi": "echo No devices were found\n"}, nil, "", nil, "", "no GPU is shown to this process (asked: nvidia-smi; "},
		{"one of two, by its UUID", map[string]string{"nvidia-smi": smi}, value(two), "", []string{two}, "nvidia-smi", ""},
		{"both the other way, by beginnings", map[string]string{"nvidia-smi": smi}, value("GPU-2b, GPU-1"), "", []string{two, one}, "nvidia-smi", ""},
		{"by number, in the order of the bus", map[string]string{"nvidia-smi": smi}, value("1"), "PCI_BUS_ID", []string{two}, "nvidia-smi", ""},
		{"by number, in an order that is not known", map[string]string{"nvidia-smi": smi}, value("1"), "", nil, "", "set CUDA_DEVICE_ORDER=PCI_BUS_ID"},
		{"by number, of one model", map[string]string{"nvidia-smi": strings.ReplaceAll(smi, "L4", "H200")}, value("1,0"), "", []string{two, one}, "nvidia-smi", ""},
		{"up to -1", map[string]string{"nvidia-smi": smi}, value("1,-1,0"), "PCI_BUS_ID", []string{two}, "nvidia-smi", ""},
		{"none", map[string]string{"nvidia-smi": smi}, value(""), "", nil, "", `CUDA_VISIBLE_DEVICES is ""`},
		{"none, also by gpus", map[string]string{"gpus": noDevice, "nvidia-smi": smi}, value(""), "", nil, "", `CUDA_VISIBLE_DEVICES is ""`},
		{"one that is not here", map[string]string{"nvidia-smi": smi}, value("0,7"), "PCI_BUS_ID", nil, "", `nvidia-smi shows no device "7"`},
		{"parts of one", map[string]string{"gpus": show(cudaTwo)}, value("MIG-1,MIG-2"), "", nil, "", "names parts of GPUs (MIG)"},
		{"gpus has chosen already", map[string]string{"gpus": show(cudaTwo), "nvidia-smi": smi}, value("7"), "", []string{two, one}, "gpus and", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := programs(t, tt.scripts)
			s.visible, s.order = tt.visible, tt.order
			list, err := s.find(t.Context())
			var got []string
			for _, d := range list.Devices {
				got = append(got, d.UUID)
				free := map[string]int64{one: 143133 << 20, two: 22563 << 20}[d.UUID]
				if tt.scripts["nvidia-smi"] == "" {
					free = 0
				}
				if d.Free != free || d.Free > d.Memory {
					t.Errorf("%+v, want %d bytes free", d, free)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || !strings.Contains(list.By, tt.by) || !says(err, tt.err) {
				t.Errorf("%v by %q, error %v\nwant %v by %q, error %q", got, list.By, err, tt.want, tt.by, tt.err)
			}
		})
	}
}

// A program that names itself in its error, as the loader of programs does, is named once.
func TestRun(t *testing.T) {
	s := programs(t, map[string]string{"gpus": "echo $0: no libcuda.so.1 >&2; exit 127\n"})
	path := filepath.Join(s.beside, "gpus")
	if _, err := s.run(t.Context(), path); err == nil || err.Error() != path+": no libcuda.so.1" {
		t.Errorf("error %v, want %s once, and what it says", err, path)
	}
}

// A program that does not answer is not waited for.
func TestFindLimit(t *testing.T) {
	s := programs(t, map[string]string{"gpus": "exec /bin/sleep 600\n", "nvidia-smi": "/bin/sleep 600\n"})
	s.limit = 50 * time.Millisecond
	_, err := s.find(t.Context())
	if !says(err, "gpus: no answer within 50ms; ") || !says(err, "nvidia-smi: no answer within 50ms") {
		t.Errorf("error %v, want that neither answers", err)
	}
}
