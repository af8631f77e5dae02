package metrics

import (
	"errors"
	"reflect"
	"testing"
)

func TestParseIoUThresholds(t *testing.T) {
	tests := []struct {
		text string
		want []float64 // nil: refused
	}{
		{".5:.95:.05", DefaultOptions().IoUThresholds},
		{"0.5", []float64{.5}},
		{".5, .75", []float64{.5, .75}},
		{"0:1:.5", []float64{0, .5, 1}},
		{"", nil},
		{"x", nil},
		{".5:.9", nil},
		{".5:.9:0", nil},
		{".9:.5:.1", nil},
		{".5:.5:.1", nil},
		{"0:1:.001", nil},
		{".5:1.5:.1", nil},
		{"NaN", nil},
		{"-.1", nil},
	}
	for _, tt := range tests {
		got, err := ParseIoUThresholds(tt.text)
		if tt.want == nil {
			if !errors.Is(err, ErrOptions) {
				t.Errorf("%q: %v, %v; want ErrOptions", tt.text, got, err)
			}
		} else if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}

func TestSetAreas(t *testing.T) {
	o := DefaultOptions()
	if err := o.SetAreas("small:0:16,large:256:1e5"); err != nil {
		t.Fatal(err)
	}
	want := [areaCount]AreaRange{{"all", 0, 1e10}, {"small", 0, 16}, {"medium", 1024, 9216}, {"large", 256, 1e5}}
	if o.AreaRanges != want {
		t.Errorf("areas %v, want %v", o.AreaRanges, want)
	}
	for _, text := range []string{"", "small", "small:0", "tiny:0:1", "small:0:x", "small:NaN:1", "small:0:1,"} {
		if err := o.SetAreas(text); !errors.Is(err, ErrOptions) {
			t.Errorf("%q: %v, want ErrOptions", text, err)
		}
	}
}

// FuzzParse: what is read makes options, and the rest is ErrOptions.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{".5:.95:.05", ".5,.75", "0:1:1e-300", "1:0:-.1", "small:0:1024,medium:1024:9216", "all:-Inf:Inf", "all:5:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := DefaultOptions()
		var err error
		if o.IoUThresholds, err = ParseIoUThresholds(text); err == nil {
			if err := o.check(); err != nil && len(o.IoUThresholds) <= 64 {
				t.Errorf("IoU thresholds %q: %v", text, err)
			}
		} else if !errors.Is(err, ErrOptions) {
			t.Errorf("IoU thresholds %q: %v, want ErrOptions", text, err)
		}
		o = DefaultOptions()
		if err := o.SetAreas(text); err != nil && !errors.Is(err, ErrOptions) {
			t.Errorf("areas %q: %v, want ErrOptions", text, err)
		}
	})
}
