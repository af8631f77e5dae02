package dataset

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/dataset/synthetic"
	"focalgrid/setting"
)

// smallCrops are the crops that go with it.
func smallCrops() synthetic.CropConfig {
	return synthetic.CropConfig{Pixels: 64, Classes: 8, Noise: 4, Clutter: 0.5}
}

// imageNetMean and imageNetStd are the usual statistics of photographs.
var (
	imageNetMean = [3]float32{0.485, 0.456, 0.406}
	imageNetStd  = [3]float32{0.229, 0.224, 0.225}
)

// synthValues are the settings that give smallSynth.
func synthValues() setting.Values {
	return setting.Values{
		"name": "synthetic", "dir": "", "train": "train", "tune": "tune", "val": "val", "pixels": 128, "classes": 4,
		"images.train": 2000, "images.tune": 300, "images.val": 300, "objects": 2.5, "empty": 0.1, "distractors": 3.,
		"min_size": 0.12, "max_size": 0.6, "noise": 4., "clutter": 0.5, "seed": uint64(0),
	}
}

func imageValues() setting.Values {
	return setting.Values{"short": 600, "long": 0, "pad": 32, "mean": []float64{.5, 0, 1}, "std": []float64{1, .25, 1}, "flip": .5, "batches": "mixed"}
}

func TestFromSettings(t *testing.T) {
	if got := synthetic.NewConfig(synthValues()); got != smallSynth() {
		t.Errorf("synthetic set %+v, want %+v", got, smallSynth())
	}
	if got := synthetic.NewCropConfig(setting.Values{"pixels": 64, "classes": 8, "seed": uint64(0)}, synthValues()); got != smallCrops() {
		t.Errorf("crops %+v, want %+v", got, smallCrops())
	}
	want := Transform{ShortSide: 600, LongSide: 1000, PadTo: 32, Mean: [3]float32{.5, 0, 1}, Std: [3]float32{1, .25, 1}}
	if got := NewTransform(imageValues()); !reflect.DeepEqual(got, want) {
		t.Errorf("transform %+v, want %+v", got, want)
	}
}

// The longer side's cap where none is set: 600 with 1000 and 800 with 1333, as in Detectron.
func TestLongSide(t *testing.T) {
	v := imageValues()
	for short, want := range map[int]int{400: 667, 500: 833, 600: 1000, 700: 1167, 800: 1333, 128: 213} {
		if v["short"] = short; NewTransform(v).LongSide != want {
			t.Errorf("%d px: cap %d, want %d", short, NewTransform(v).LongSide, want)
		}
	}
	if v["short"], v["long"] = 600, 700; NewTransform(v).LongSide != 700 {
		t.Errorf("a given cap became %d", NewTransform(v).LongSide)
	}
}

func TestParams(t *testing.T) {
	data := slices.Concat(Params, synthetic.Params)
	for _, tt := range []struct {
		params []setting.Param
		name   string
		edit   setting.Values
		want   string
	}{
		{data, "name", setting.Values{"name": "voc"}, `is "voc", must be one of coco, synthetic`},
		{data, "pixels", setting.Values{"pixels": 16}, "is 16, must be from 32 to 1024"},
		{data, "classes", setting.Values{"classes": 13}, "is 13, must be from 1 to 12"},
		{data, "distractors", setting.Values{"classes": 12}, "is 3, must be 0 beside 12 classes"},
		{data, "distractors", setting.Values{"classes": 12, "distractors": 0.}, ""},
		{data, "distractors", setting.Values{"distractors": .12345}, "is 0.12345, must have at most three decimals"},
		{data, "images.tune", setting.Values{"images.tune": 0}, "is 0, must be from 1 to 1000000"},
		{data, "objects", setting.Values{"objects": .5}, "is 0.5, must be from 1 to 50"},
		{data, "empty", setting.Values{"empty": -.1}, "is -0.1, must be from 0 to 1"},
		{data, "noise", setting.Values{"noise": math.NaN()}, "is NaN, must be from 0 to 64"},
		{data, "min_size", setting.Values{"min_size": .12345}, "is 0.12345, must have at most three decimals"},
		{data, "max_size", setting.Values{"min_size": .5, "max_size": .4}, "is 0.4, must be from 0.5, the value of min_size, to 1"},
		{data, "clutter", setting.Values{"clutter": math.Inf(1)}, "is +Inf, must be from 0 to 1"},
		{data, "val", setting.Values{"val": "valid"}, `is "valid", must be val for the generated set; --data DIR reads a folder of your own`},
		{data, "val", setting.Values{"val": "valid", "name": "coco"}, ""},
		{data, "tune", setting.Values{"tune": "../tune", "name": "coco"}, `is "../tune", must be the name of a split, not a path`},
		{synthetic.CropParams, "classes", setting.Values{"classes": 12}, "is 12, must be from 1 to 11"},
		{ImageParams, "short", setting.Values{"short": 0}, "is 0, must be from 32 to 8192"},
		{ImageParams, "long", setting.Values{"long": 500}, "is 500, must be 0, or from 600, the value of short, to 8192"},
		{ImageParams, "pad", setting.Values{"pad": 0}, "is 0, must be from 1 to 1024"},
		{ImageParams, "std", setting.Values{"std": []float64{1, 0, 1}}, "is [1,0,1], must be 3 numbers from 0.001 to 255"},
		{ImageParams, "std", setting.Values{"std": []float64{1, 1, math.NaN()}}, "is [1,1,NaN], must be 3 numbers"},
		{ImageParams, "mean", setting.Values{"mean": []float64{math.Inf(1), 0, 0}}, "is [+Inf,0,0], must be 3 numbers from -1 to 255"},
		{ImageParams, "mean", setting.Values{"mean": []float64{0}}, "is [0], must be 3 numbers"},
	} {
		v := synthValues()
		if tt.params[0].Name == "short" {
			v = imageValues()
		}
		maps.Copy(v, tt.edit)
		p := tt.params[slices.IndexFunc(tt.params, func(p setting.Param) bool { return p.Name == tt.name })]
		err := p.Judge(v[tt.name])
		if err == nil {
			err = p.JudgeGroup(v)
		}
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s %v: error %v, want %q", tt.name, tt.edit, err, tt.want)
		}
	}
}
