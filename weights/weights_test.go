package weights

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// file puts a header and data together.
func file(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func encode(t testing.TB, ts []Tensor, metadata map[string]string, as DType) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, ts, metadata, as); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var sample = []Tensor{
	{"head.bias", []int{3}, []float32{-4.59511985, 0, float32(math.Inf(1))}},
	{"backbone.conv1.weight", []int{2, 1, 1, 2}, []float32{1, 2, 3.5, -4}},
	{"scalar", []int{}, []float32{7}},
	{"none", []int{0, 5}, []float32{}},
}

// TestBytes writes the format out by hand, once.
func TestBytes(t *testing.T) {
	got := encode(t, []Tensor{{"b", []int{2}, []float32{1, -2}}, {"a", nil, []float32{0.5}}}, map[string]string{"z": "<1>", "k": "\""}, F32)
	want := file(`{"__metadata__":{"k":"\"","z":"<1>"},`+
		`"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},`+
		`"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}} `,
		[]byte{0, 0, 0, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0})
	// 8 + header must be a multiple of 8: the spaces at the end see to it.
	header := binary.LittleEndian.Uint64(got)
	if header%8 != 0 {
		t.Errorf("header of %d bytes, want a multiple of 8", header)
	}
	trim := func(b []byte) string { return strings.TrimRight(string(b[8:8+binary.LittleEndian.Uint64(b)]), " ") }
	if trim(got) != trim(want) {
		t.Errorf("header\n got %s\nwant %s", trim(got), trim(want))
	}
	if data := got[8+header:]; !bytes.Equal(data, want[len(want)-12:]) {
		t.Errorf("data % x, want % x", data, want[len(want)-12:])
	}
	if got := encode(t, nil, nil, F32); !bytes.Equal(got, file("{}      ", nil)) {
		t.Errorf("no tensors: %q", got)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "w.safetensors")
	metadata := map[string]string{"made by": "test", "é": "日本"}
	if err := Write(path, sample, metadata); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []Tensor{sample[1], sample[0], sample[3], sample[2]}
	if !reflect.DeepEqual(f.Tensors, want) || !reflect.DeepEqual(f.Metadata, metadata) || f.Skipped != nil {
		t.Errorf("read back %+v", f)
	}
	if sample[0].Name != "head.bias" {
		t.Error("writing sorted the caller's tensors")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, want 1 (%v)", len(entries), err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(b, encode(t, f.Tensors, f.Metadata, F32)) {
		t.Errorf("writing again gives other bytes (%v)", err)
	}
	// Larger than a chunk, every bit pattern kept, NaN payloads too.
	r := rand.New(rand.NewPCG(1, 2))
	big := Tensor{"big", []int{40000}, make([]float32, 40000)}
	for i := range big.Data {
		big.Data[i] = math.Float32frombits(r.Uint32())
	}
	f, err = Decode(encode(t, []Tensor{big}, nil, F32), "big")
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range f.Tensors[0].Data {
		if math.Float32bits(v) != math.Float32bits(big.Data[i]) {
			t.Fatalf("value %d: bits %08x, want %08x", i, math.Float32bits(v), math.Float32bits(big.Data[i]))
		}
	}
}

func TestHash(t *testing.T) {
	h, err := Hash(sample)
	if err != nil || len(h) != 64 {
		t.Fatalf("got %q, %v", h, err)
	}
	turned := []Tensor{sample[3], sample[2], sample[1], sample[0]}
	if again, _ := Hash(turned); again != h {
		t.Error("the order of tensors changes the hash")
	}
	changes := map[string]func(*Tensor){
		"name":    func(x *Tensor) { x.Name = "tail.bias" },
		"shape":   func(x *Tensor) { x.Shape = []int{3, 1} },
		"a bit":   func(x *Tensor) { x.Data = []float32{-4.59511985, float32(math.Copysign(0, -1)), float32(math.Inf(1))} },
		"a value": func(x *Tensor) { x.Data = []float32{-4.6, 0, float32(math.Inf(1))} },
	}
	for name, change := range changes {
		x := sample[0]
		change(&x)
		if other, err := Hash([]Tensor{x, sample[1], sample[2], sample[3]}); err != nil || other == h {
			t.Errorf("another %s leaves the hash as it was (%v)", name, err)
		}
	}
	sum := sha256.Sum256(file("{}      ", nil))
	if h, err := Hash(nil); err != nil || h != hex.EncodeToString(sum[:]) {
		t.Errorf("hash of nothing: %s, %v; want that of the file's bytes", h, err)
	}
}

// TestTypes reads every type of a file: three become float32, the others are
// told of.
func TestTypes(t *testing.T) {
	b := file(`{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},`+
		`"b":{"shape":[1,1],"dtype":"BF16","data_offsets":[4,6]},`+
		`"n":{"dtype":"I64","shape":[],"data_offsets":[6,14]},`+
		`"f":{"dtype":"F32","shape":[1],"data_offsets":[14,18]}}`,
		[]byte{0x00, 0x3c, 0x00, 0xc0, 0x49, 0x40, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x41})
	f, err := Decode(b, "f")
	if err != nil {
		t.Fatal(err)
	}
	want := &File{
		Tensors: []Tensor{{"b", []int{1, 1}, []float32{3.140625}}, {"f", []int{1}, []float32{10}}, {"h", []int{2}, []float32{1, -2}}},
		Skipped: []Skipped{{"n", "I64", []int{}}},
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v, want %+v", f, want)
	}
}

func TestHalf(t *testing.T) {
	tests := []struct {
		f    float32
		h    uint16
		back float32 // h as float32
	}{
		{0, 0, 0}, {1, 0x3c00, 1}, {-2, 0xc000, -2}, {65504, 0x7bff, 65504}, {65519.996, 0x7bff, 65504},
		{0x1p-14, 0x0400, 0x1p-14}, {0x1p-24, 1, 0x1p-24}, {0x1p-25, 0, 0}, {0x1.8p-25, 1, 0x1p-24}, {0x1.8p-24, 2, 0x1p-23},
		{0x1.ffcp-15, 0x0400, 0x1p-14},                              // the tie above the largest subnormal number goes to even
		{1 + 0x1p-11, 0x3c00, 1}, {1 + 0x3p-11, 0x3c02, 1 + 0x1p-9}, // ties to even
		{1 + 0x1p-11 + 0x1p-20, 0x3c01, 1 + 0x1p-10}, {2 - 0x1p-12, 0x4000, 2},
		{float32(math.Inf(-1)), 0xfc00, float32(math.Inf(-1))},
	}
	for _, tt := range tests {
		h, ok := toHalf(tt.f)
		if !ok || h != tt.h || fromHalf(h) != tt.back {
			t.Errorf("%g: got %04x (%g) %v, want %04x (%g)", tt.f, h, fromHalf(h), ok, tt.h, tt.back)
		}
	}
	for _, f := range []float32{65520, -65520, 1e30} {
		if _, ok := toHalf(f); ok {
			t.Errorf("%g was encoded", f)
		}
	}
	// All half-precision numbers come back; nearer ones do not exist.
	for i := range 1 << 16 {
		h := uint16(i)
		f := fromHalf(h)
		back, ok := toHalf(f)
		if f != f {
			if back&0x7c00 != 0x7c00 || back&1023 == 0 {
				t.Fatalf("%04x is NaN, came back as %04x", h, back)
			}
			continue
		}
		if !ok || back != h {
			t.Fatalf("%04x is %g, came back as %04x", h, f, back)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 100000 {
		f := float32(math.Ldexp(r.Float64()*2-1, r.IntN(45)-28))
		h, ok := toHalf(f)
		if !ok {
			continue
		}
		d := math.Abs(float64(fromHalf(h)) - float64(f))
		for _, n := range []uint16{h + 1, h - 1} {
			if g := fromHalf(n); math.Abs(float64(g)-float64(f)) < d {
				t.Fatalf("%g was rounded to %g, but %g is nearer", f, fromHalf(h), g)
			}
		}
	}
}

func TestF16File(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	ts := []Tensor{{"a", []int{3}, []float32{1, 0.1, -3}}}
	if err := WriteAs(path, ts, nil, F16); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil || !reflect.DeepEqual(f.Tensors[0].Data, []float32{1, 0.099975586, -3}) {
		t.Errorf("got %+v, %v", f, err)
	}
	ts[0].Data[1] = 1e6
	err = WriteAs(path, ts, nil, F16)
	if err == nil || !strings.Contains(err.Error(), `tensor "a": value 1 is 1e+06, beyond the ±65504 of F16`) {
		t.Errorf("got %v", err)
	}
	if f, err := Read(path); err != nil || f.Tensors[0].Data[0] != 1 {
		t.Errorf("the old file is gone: %v", err)
	}
}

// TestHostile: each is refused, with file and tensor, and none takes memory
// that its size does not justify.
func TestHostile(t *testing.T) {
	one := func(fields string) []byte { return file(`{"a":{`+fields+`}}`, make([]byte, 8)) }
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "f: expected 8 bytes with the header's length, found 0"},
		{"huge header", binary.LittleEndian.AppendUint64(nil, 1<<63), "f: header of 9223372036854775808 bytes, at most 100000000"},
		{"header longer than the file", binary.LittleEndian.AppendUint64(nil, 99), "f: header of 99 bytes in a file of 8; is it complete?"},
		{"no header", file("", nil), "f: header: expected a JSON object"},
		{"array", file("[]", nil), "f: header: expected a JSON object"},
		{"cut header", file(`{"a":`, nil), "unexpected EOF"},
		{"two values", file(`{}{}`, nil), "f: header: text after its end"},
		{"not UTF-8", file("{\"\xff\":1}", nil), "f: header: expected UTF-8"},
		{"no object", file(`{"a":3}`, nil), `f: header: tensor "a": expected "{"`},
		{"unknown type", one(`"dtype":"F33","shape":[2],"data_offsets":[0,8]`), `f: tensor "a": unknown type "F33"`},
		{"unknown field", one(`"dtypes":"F32"`), `f: header: tensor "a": unknown field "dtypes"`},
		{"field twice", one(`"dtype":"F32","dtype":"F32"`), `f: header: tensor "a": dtype is given twice`},
		{"no shape", one(`"dtype":"F32","data_offsets":[0,8]`), `f: header: tensor "a": shape is missing`},
		{"no offsets", one(`"dtype":"F32","shape":[2]`), `f: header: tensor "a": data_offsets is missing`},
		{"one offset", one(`"dtype":"F32","shape":[2],"data_offsets":[0]`), "data_offsets: expected 2 numbers, found 1"},
		{"three offsets", one(`"dtype":"F32","shape":[2],"data_offsets":[0,1,2]`), "data_offsets: more than 2 numbers"},
		{"negative dimension", one(`"dtype":"F32","shape":[-2],"data_offsets":[0,8]`), "shape: expected whole numbers from 0"},
		{"fraction", one(`"dtype":"F32","shape":[2.0],"data_offsets":[0,8]`), "shape: expected whole numbers from 0"},
		{"text as dimension", one(`"dtype":"F32","shape":["2"],"data_offsets":[0,8]`), "shape: expected whole numbers"},
		{"product overflows", one(`"dtype":"F32","shape":[4294967296,4294967296,4294967296,4294967296],"data_offsets":[0,8]`), `f: tensor "a": shape`},
		{"product wraps to 2", one(`"dtype":"F32","shape":[8589934592,8589934592,2],"data_offsets":[0,8]`), "more values than any file may have"},
		{"many dimensions", one(`"dtype":"F32","shape":[` + strings.Repeat("1,", 40) + `1],"data_offsets":[0,8]`), "more than 32 numbers"},
		{"shape too large", one(`"dtype":"F32","shape":[3],"data_offsets":[0,8]`), `f: tensor "a": F32 of shape [3] takes 12 bytes, found 8`},
		{"offsets reversed", one(`"dtype":"F32","shape":[2],"data_offsets":[8,0]`), `f: tensor "a": bytes 8 to 0 do not lie in the 8 bytes`},
		{"beyond the end", one(`"dtype":"F32","shape":[2],"data_offsets":[4,12]`), `f: tensor "a": bytes 4 to 12 do not lie in the 8 bytes`},
		{"huge offset", one(`"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807]`), "data_offsets: expected whole numbers"},
		{"gap", one(`"dtype":"F32","shape":[1],"data_offsets":[4,8]`), `f: tensor "a": its bytes begin at 4, expected 0: tensors overlap or leave a gap`},
		{"rest", one(`"dtype":"F32","shape":[1],"data_offsets":[0,4]`), "f: 8 bytes of data, the header describes 4"},
		{"overlap", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, make([]byte, 8)), `f: tensor "b": its bytes begin at 4, expected 8`},
		{"two of a name", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, make([]byte, 8)), `f: header: tensor "a": two tensors of this name`},
		{"metadata not text", file(`{"__metadata__":{"a":1}}`, nil), "f: header: expected a string"},
		{"metadata twice", file(`{"__metadata__":{"a":"1","a":"2"}}`, nil), `f: header: metadata: "a" is given twice`},
		{"truncated data", encode(t, sample, nil, F32)[:300], "do not lie in the"},
	}
	for _, tt := range tests {
		f, err := Decode(tt.data, "f")
		if err == nil {
			t.Errorf("%s: read %+v", tt.name, f)
		} else if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\n got  %v\n want %s", tt.name, err, tt.want)
		}
	}
}

// TestHugeTensor: a file of 1 kB that promises a tensor of 2 GB is refused before
// memory is taken for it, as is one whose header promises to be large.
func TestHugeTensor(t *testing.T) {
	header := binary.LittleEndian.AppendUint64(nil, 90_000_000)
	for name, data := range map[string][]byte{
		"tensor": file(`{"a":{"dtype":"F32","shape":[536870912],"data_offsets":[0,2147483648]}}`, make([]byte, 1024)),
		"header": append(header, make([]byte, 1024)...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(data, "f")
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: it was read", name)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: %d bytes of memory were taken (%v)", name, took, err)
		}
	}
}

// TestEncodeRefuses: what no file could say.
func TestEncodeRefuses(t *testing.T) {
	tests := []struct {
		name string
		ts   []Tensor
		as   DType
		want string
	}{
		{"no name", []Tensor{{"", nil, []float32{1}}}, F32, "not a name"},
		{"reserved name", []Tensor{{"__metadata__", nil, []float32{1}}}, F32, "not a name"},
		{"two of a name", []Tensor{{"a", nil, []float32{1}}, {"a", nil, []float32{1}}}, F32, `tensor "a": two tensors of this name`},
		{"shape", []Tensor{{"a", []int{2, 3}, []float32{1}}}, F32, `tensor "a": shape [2 3] has 6 values, data has 1`},
		{"negative", []Tensor{{"a", []int{-1, -1}, []float32{1}}}, F32, "dimensions of 0 or more"},
		{"overflow", []Tensor{{"a", []int{1 << 40, 1 << 40}, nil}}, F32, "more values than any file may have"},
		{"dimensions", []Tensor{{"a", make([]int, 33), nil}}, F32, "33 dimensions"},
		{"type", nil, 9, "unknown type of numbers 9"},
	}
	for _, tt := range tests {
		if err := Encode(&bytes.Buffer{}, tt.ts, nil, tt.as); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := Write(filepath.Join(t.TempDir(), "none", "w"), nil, nil); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
	if _, err := Read(t.TempDir()); err == nil {
		t.Error("read a folder")
	}
}

// FuzzDecode: no panic; what is read can be written and read again.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, sample, map[string]string{"a": "b"}, F32))
	f.Add(encode(f, sample[:2], nil, F16))
	f.Add(file(`{"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`, make([]byte, 8)))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode(data, "fuzz")
		if err != nil {
			return
		}
		var values int
		for _, x := range got.Tensors {
			values += len(x.Data)
			if x.Name == "" {
				return // may be read, but not written
			}
		}
		if 2*values > len(data) {
			t.Fatalf("%d values from %d bytes", values, len(data))
		}
		h, err := Hash(got.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(encode(t, got.Tensors, got.Metadata, F32), "again")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Hash(back.Tensors); err != nil || again != h {
			t.Fatalf("hash %s became %s (%v)", h, again, err)
		}
	})
}
