package dataset

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"focalgrid/setting"
)

const maxImages = 1_000_000

// Params are the settings of the data. Its name chooses the source: the synthetic generator,
// or coco, annotations and images on disk, which answer for themselves.
var Params = []setting.Param{
	{Name: "name", Kind: setting.Text, Kinds: map[string][]setting.Param{"synthetic": synthParams, "coco": nil}, Doc: "source of the data; coco: annotations and images on disk"},
	{Name: "dir", Kind: setting.Text, Path: true, Doc: "the folder, absolute; empty: none given, and for synthetic the cache's"},
	{Name: "train", Kind: setting.Text, Check: splitName("train"), When: fromFolder, Doc: "name of the split to train on"},
	{Name: "tune", Kind: setting.Text, Check: splitName("tune"), When: fromFolder, Doc: "name of the split where settings are chosen"},
	{Name: "val", Kind: setting.Text, Check: splitName("val"), When: fromFolder, Doc: "name of the split that tables report"},
	{Name: "noise", Kind: setting.Number, Max: 64, Check: decimals("noise"), Doc: "of a generated pixel: standard deviation, in grey levels of 0…255"},
	{Name: "clutter", Kind: setting.Number, Max: 1, Check: decimals("clutter"), Doc: "of a generated background: how rough it is and how many lines and blobs lie on it"},
}

// synthParams are the settings of the synthetic generator.
var synthParams = []setting.Param{
	{Name: "pixels", Kind: setting.Int, Min: 32, Max: 1024, Doc: "side of the square images"},
	{Name: "classes", Kind: setting.Int, Min: 1, Max: float64(len(shapeNames)), Doc: "kinds of shape that are objects; the others are distractors"},
	{Name: "images.train", Kind: setting.Int, Min: 1, Max: maxImages, Doc: "images of the split train"},
	{Name: "images.tune", Kind: setting.Int, Min: 1, Max: maxImages, Doc: "images of the split tune"},
	{Name: "images.val", Kind: setting.Int, Min: 1, Max: maxImages, Doc: "images of the split val"},
	{Name: "objects", Kind: setting.Number, Min: 1, Max: 50, Check: decimals("objects"), Doc: "mean number in an image that is not empty: one, and a Poisson number more"},
	{Name: "empty", Kind: setting.Number, Max: 1, Check: decimals("empty"), Doc: "share of images without objects"},
	{Name: "distractors", Kind: setting.Number, Max: 50, Check: checkDistractors, Doc: "mean number of shapes of no class in an image"},
	{Name: "min_size", Kind: setting.Number, Min: .01, Max: 1, Check: decimals("min_size"), Doc: "of an object, as a share of the side; sizes are log-uniform"},
	{Name: "max_size", Kind: setting.Number, Min: .01, Max: 1, Check: checkMaxSize, Doc: "of an object, as a share of the side"},
	{Name: "seed", Kind: setting.Seed, Doc: "of the images, not of the training"},
}

// CropParams are the settings of the crops that a backbone is pretrained on.
var CropParams = []setting.Param{
	{Name: "pixels", Kind: setting.Int, Min: 32, Max: 1024, Doc: "side of a crop"},
	{Name: "classes", Kind: setting.Int, Min: 1, Max: float64(len(shapeNames) - 1), Doc: `kinds of object, to which "none" is added`},
	{Name: "seed", Kind: setting.Seed, Doc: "of the crops and of the pretraining"},
}

// ImageParams are the settings of a Transform, and of the random flip before it.
var ImageParams = []setting.Param{
	{Name: "short", Kind: setting.Int, Min: 32, Max: 8192, Doc: "pixels the shorter side is brought to"},
	{Name: "long", Kind: setting.Int, Max: 8192, Check: checkLong, Doc: "the longer side's cap in pixels; 0 caps it at 5/3 of the shorter one"},
	{Name: "pad", Kind: setting.Int, Min: 1, Max: 1024, Doc: "sides are padded to a multiple of it"},
	{Name: "mean", Kind: setting.Numbers, Min: -1, Max: 255, Count: [2]int{3, 3}, Doc: "red, green, blue in 0…1, subtracted"},
	{Name: "std", Kind: setting.Numbers, Min: 1e-3, Max: 255, Count: [2]int{3, 3}, Doc: "red, green, blue in 0…1, divided by"},
	{Name: "flip", Kind: setting.Number, Max: 1, Doc: "probability of a horizontal flip in training"},
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

// decimals checks that the integers drawn from are exactly what is written.
func decimals(name string) func(setting.Values) error {
	return func(v setting.Values) error {
		if x := v.Number(name); math.Abs(x-float64(milli(x))/1000) > 1e-9 {
			return errors.New("must have at most three decimals")
		}
		return nil
	}
}

func checkDistractors(v setting.Values) error {
	if n := v.Int("classes"); n == len(shapeNames) && v.Number("distractors") > 0 {
		return fmt.Errorf("must be 0 beside %d classes, which leave no shape for distractors; or use fewer classes", n)
	}
	return decimals("distractors")(v)
}

func checkMaxSize(v setting.Values) error {
	if least := v.Number("min_size"); v.Number("max_size") < least {
		return fmt.Errorf("must be from %s, the value of min_size, to 1", setting.Spell(least))
	}
	return decimals("max_size")(v)
}

func checkLong(v setting.Values) error {
	if short, long := v.Int("short"), v.Int("long"); long != 0 && long < short {
		return fmt.Errorf("must be 0, or from %d, the value of short, to 8192", short)
	}
	return nil
}

// NewSynthConfig makes the synthetic set of the settings.
func NewSynthConfig(v setting.Values) SynthConfig {
	return SynthConfig{
		Pixels: v.Int("pixels"), Classes: v.Int("classes"),
		Train: v.Int("images.train"), Tune: v.Int("images.tune"), Val: v.Int("images.val"),
		Objects: v.Number("objects"), Empty: v.Number("empty"), Distractors: v.Number("distractors"),
		MinSize: v.Number("min_size"), MaxSize: v.Number("max_size"),
		Noise: v.Number("noise"), Clutter: v.Number("clutter"), Seed: v.Seed("seed"),
	}
}

// NewCropConfig makes the crops of the settings CropParams and of the data's, as the crops
// look like the generated images: noise and clutter are theirs.
func NewCropConfig(v, data setting.Values) CropConfig {
	return CropConfig{Pixels: v.Int("pixels"), Classes: v.Int("classes"), Noise: data.Number("noise"), Clutter: data.Number("clutter"), Seed: v.Seed("seed")}
}

// NewTransform makes the transform of the settings.
func NewTransform(v setting.Values) Transform {
	t := Transform{ShortSide: v.Int("short"), LongSide: v.Int("long"), PadTo: v.Int("pad")}
	if t.LongSide == 0 {
		t.LongSide = (5*t.ShortSide + 1) / 3 // rounded; 600 gives 1000 and 800 gives 1333
	}
	for i := range t.Mean {
		t.Mean[i], t.Std[i] = float32(v.Numbers("mean")[i]), float32(v.Numbers("std")[i])
	}
	return t
}
