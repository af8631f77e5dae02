package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"focalgrid/dataset/synthetic"
	"focalgrid/setting"
)

// Params are the settings of the data. Its name chooses the source: the synthetic generator,
// or coco, annotations and images on disk, which answer for themselves.
var Params = slices.Concat([]setting.Param{
	{Name: "name", Kind: setting.Text, Kinds: map[string][]setting.Param{"synthetic": synthetic.Params, "coco": nil}, Doc: "source of the data; coco: annotations and images on disk"},
	{Name: "dir", Kind: setting.Text, Path: true, Doc: "the folder, absolute; empty: none given, and for synthetic the cache's"},
	{Name: "train", Kind: setting.Text, Check: splitName("train"), When: fromFolder, Doc: "name of the split to train on"},
	{Name: "tune", Kind: setting.Text, Check: splitName("tune"), When: fromFolder, Doc: "name of the split where settings are chosen"},
	{Name: "val", Kind: setting.Text, Check: splitName("val"), When: fromFolder, Doc: "name of the split that tables report"},
}, synthetic.LookParams)

// ImageParams are the settings of a Transform, and of the random flip before it.
var ImageParams = []setting.Param{
	{Name: "short", Kind: setting.Int, Min: 32, Max: 8192, Doc: "pixels the shorter side is brought to"},
	{Name: "long", Kind: setting.Int, Max: 8192, Check: checkLong, Doc: "the longer side's cap in pixels; 0 caps it at 5/3 of the shorter one"},
	{Name: "pad", Kind: setting.Int, Min: 1, Max: 1024, Doc: "sides are padded to a multiple of it"},
	{Name: "mean", Kind: setting.Numbers, Min: -1, Max: 255, Count: [2]int{3, 3}, Doc: "red, green, blue in 0…1, subtracted"},
	{Name: "std", Kind: setting.Numbers, Min: 1e-3, Max: 255, Count: [2]int{3, 3}, Doc: "red, green, blue in 0…1, divided by"},
	{Name: "flip", Kind: setting.Number, Max: 1, Doc: "probability of a horizontal flip in training"},
	{Name: "batches", Kind: setting.Text, Choices: []string{"mixed", "oriented"}, Was: "mixed",
		Doc: "mixed: any images, padded to the largest; oriented: wide or high ones, at one size for each, so that two networks are compiled"},
}

func fromFolder(v setting.Values) bool { return v.Text("name") != "synthetic" }

// splitName checks the name of a split. The generated set has its own.
func splitName(name string) func(setting.Values) error {
	return func(v setting.Values) error {
		switch given := v.Text(name); {
		case given == "" || given == ".." || strings.ContainsAny(given, `/\`):
			return errors.New("must be the name of a split, not a path")
		case !fromFolder(v) && given != name:
			return fmt.Errorf("must be %s for the generated set; --data DIR reads a folder of your own", name)
		}
		return nil
	}
}

func checkLong(v setting.Values) error {
	if short, long := v.Int("short"), v.Int("long"); long != 0 && long < short {
		return fmt.Errorf("must be 0, or from %d, the value of short, to 8192", short)
	}
	return nil
}

// NewTransform makes the transform of the settings.
func NewTransform(v setting.Values) Transform {
	t := Transform{ShortSide: v.Int("short"), LongSide: v.Int("long"), PadTo: v.Int("pad"), Oriented: v.Text("batches") == "oriented"}
	if t.LongSide == 0 {
		t.LongSide = (5*t.ShortSide + 1) / 3 // rounded; 600 gives 1000 and 800 gives 1333
	}
	for i := range t.Mean {
		t.Mean[i], t.Std[i] = float32(v.Numbers("mean")[i]), float32(v.Numbers("std")[i])
	}
	return t
}
