package weights

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPTHIsTheSafetensors: the same tensors have the same names, shapes and bits in both
// formats, and the format is told by what is in a file, not by its name.
func TestPTHIsTheSafetensors(t *testing.T) {
	a, err := Open("testdata/resnet18.pth")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open("testdata/resnet18.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	ha, errA := Hash(a.Tensors)
	hb, errB := Hash(b.Tensors)
	if errA != nil || errB != nil || ha != hb || len(a.Tensors) != 102 {
		t.Errorf(".pth: %d tensors, %s, %v; .safetensors: %d, %s, %v", len(a.Tensors), ha, errA, len(b.Tensors), hb, errB)
	}
	if len(a.Skipped) != 20 || len(b.Skipped) != 20 || a.Skipped[0].Name != "bn1.num_batches_tracked" || a.Skipped[0].DType != "I64" {
		t.Errorf("skipped in .pth: %v, in .safetensors: %v", a.Skipped, b.Skipped)
	}
	text, err := os.ReadFile("testdata/resnet18.pth")
	if err != nil {
		t.Fatal(err)
	}
	misnamed := filepath.Join(t.TempDir(), "resnet18.safetensors")
	if err := os.WriteFile(misnamed, text, 0o666); err != nil {
		t.Fatal(err)
	}
	if c, err := Open(misnamed); err != nil || len(c.Tensors) != 102 {
		t.Errorf("under another name: %v", err)
	}
}

// TestPTHKinds reads tensors of every type and layout as torch does.
func TestPTHKinds(t *testing.T) {
	f, err := Open("testdata/kinds.pth")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		Shape []int
		Data  []float64
	}{}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors) != len(want) {
		t.Errorf("%d tensors, want %d", len(f.Tensors), len(want))
	}
	for _, v := range f.Tensors {
		w, ok := want[v.Name]
		if !ok || !slices.Equal(v.Shape, w.Shape) || len(v.Data) != len(w.Data) {
			t.Errorf("%s has shape %v, want %v", v.Name, v.Shape, w.Shape)
			continue
		}
		for i, x := range v.Data {
			if float64(x) != w.Data[i] {
				t.Errorf("%s[%d] is %g, want %g", v.Name, i, x, w.Data[i])
			}
		}
	}
	if len(f.Skipped) != 2 || f.Skipped[0].Name != "count" || f.Skipped[1].DType != "BOOL" {
		t.Errorf("skipped: %v", f.Skipped)
	}
}

func TestPTHRefused(t *testing.T) {
	whole, err := os.ReadFile("testdata/kinds.pth")
	if err != nil {
		t.Fatal(err)
	}
	// pickled is an archive with this pickle and a storage of four numbers.
	pickled := func(text string) []byte {
		return archiveOf(t, map[string]string{"a/data.pkl": text, "a/data/0": strings.Repeat("\x00\x00\x80\x3f", 4)})
	}
	const head = "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"a module", read(t, "testdata/module.pth"), `the file holds a "torch.nn.modules.linear.Linear"; only tensors in dictionaries are read: save model.state_dict()`},
		{"before PyTorch 1.6", read(t, "testdata/old.pth"), "torch.save(torch.load('OLD.pth'"},
		{"a tensor alone", read(t, "testdata/alone.pth"), "expected a dictionary of tensors, found a tensor"},
		{"a program", pickled("cos\nsystem\nX\x02\x00\x00\x00ls\x85R."), `holds a "os.system"`},
		{"a built-in", pickled("c__builtin__\neval\nX\x02\x00\x00\x00ls\x85R."), `holds a "__builtin__.eval"`},
		{"a method", pickled("\x80\x02}X\x01\x00\x00\x00wccollections\nOrderedDict\n)\x81s."), "instruction 0x81"},
		{"cut", whole[:len(whole)/2], "is the file complete?"},
		{"no pickle", archiveOf(t, map[string]string{"a/b": "c"}), "is it a file of torch.save?"},
		{"big-endian", archiveOf(t, map[string]string{"a/data.pkl": "}.", "a/byteorder": "big"}), `byte order "big"`},
		{"an empty pickle", pickled(""), "ends too early"},
		{"a text of 2 GB", pickled("\x80\x02X\xff\xff\xff\x7fa"), "ends too early"},
		{"no numbers", pickled(strings.ReplaceAll(head, "\x01\x00\x00\x000X", "\x01\x00\x00\x009X") + "K\x04tQK\x00K\x04\x85K\x01\x85\x89}tRs."), "lacks its numbers, data/9"},
		{"beyond the storage", pickled(head + "K\x04tQK\x01K\x04\x85K\x01\x85\x89}tRs."), "element 4 of a storage of 4"},
		{"beyond the file", pickled(head + "K\x05tQK\x00K\x05\x85K\x01\x85\x89}tRs."), "has 16 bytes, 5 numbers take 20"},
		{"larger than the file", pickled(head + "K\x04tQK\x00J\xff\xff\xff\x7f\x85K\x00\x85\x89}tRs."), "more than 8 times the bytes of the file"},
		{"a negative size", pickled(head + "K\x04tQK\x00J\xff\xff\xff\xff\x85K\x01\x85\x89}tRs."), "called with 6 arguments"},
		{"a dictionary in itself", pickled("}q\x00X\x01\x00\x00\x00ah\x00s."), "nested more than 8 deep"},
		{"one name twice", pickled(head + "K\x04tQK\x00K\x04\x85K\x01\x85\x89}tRq\x01sX\x01\x00\x00\x00wh\x01s."), "two tensors of this name"},
	}
	for _, tt := range tests {
		if _, err := openAny(bytes.NewReader(tt.file), int64(len(tt.file)), "x.pth"); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "x.pth: ") {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
	good := pickled(head + "K\x04tQK\x00K\x04\x85K\x01\x85\x89}tRs.")
	if f, err := openAny(bytes.NewReader(good), int64(len(good)), "x.pth"); err != nil || len(f.Tensors) != 1 || f.Tensors[0].Data[3] != 1 {
		t.Errorf("the form that the others are made of: %v", err)
	}

	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("a/data.pkl") // compressed
	if err == nil {
		_, err = io.WriteString(w, "}.")
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openAny(bytes.NewReader(b.Bytes()), int64(b.Len()), "x.pth"); err == nil || !strings.Contains(err.Error(), "is compressed") {
		t.Errorf("compressed: %v", err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// archiveOf is a zip archive of uncompressed files.
func archiveOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestF64IsRounded(t *testing.T) {
	b := append([]byte{0x3d, 0, 0, 0, 0, 0, 0, 0}, `{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}       `...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f)
	f, err := Decode(b, "x")
	if err != nil || len(f.Tensors) != 1 || f.Tensors[0].Data[0] != 1.5 {
		t.Errorf("%v, %v", f, err)
	}
}

// FuzzPTH: whatever a file holds, reading it neither panics nor takes much more memory
// than the file has bytes, and what is read fits its shapes.
func FuzzPTH(f *testing.F) {
	for _, name := range []string{"kinds.pth", "module.pth", "old.pth", "alone.pth", "resnet18.pth"} {
		f.Add(read(f, "testdata/"+name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := openAny(bytes.NewReader(b), int64(len(b)), "x.pth")
		if err != nil {
			return
		}
		checkRead(t, file, len(b))
	})
}

// FuzzPickle is FuzzPTH for the pickle within, which the archive's checksum would hide.
func FuzzPickle(f *testing.F) {
	for _, name := range []string{"kinds.pth", "module.pth", "alone.pth", "resnet18.pth"} {
		b := read(f, "testdata/"+name)
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range z.File {
			if strings.HasSuffix(file.Name, "data.pkl") {
				text, err := stored(file, math.MaxInt32)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(text)
			}
		}
	}
	numbers := strings.Repeat("\x00\x00\x80\x3f", 64)
	f.Fuzz(func(t *testing.T, b []byte) {
		all := archiveOf(t, map[string]string{"a/data.pkl": string(b), "a/data/0": numbers, "a/data/1": numbers})
		if file, err := openAny(bytes.NewReader(all), int64(len(all)), "x.pth"); err == nil {
			checkRead(t, file, len(all))
		}
	})
}

func checkRead(t *testing.T, file *File, size int) {
	total := 0
	for _, v := range file.Tensors {
		n := 1
		for _, d := range v.Shape {
			n *= d
		}
		if n != len(v.Data) {
			t.Fatalf("tensor %q of shape %v has %d numbers", v.Name, v.Shape, len(v.Data))
		}
		total += 4 * n
	}
	if total > maxGrowth*size {
		t.Fatalf("%d bytes of tensors from %d", total, size)
	}
}
