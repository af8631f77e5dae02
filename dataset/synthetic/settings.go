package synthetic

import (
	"errors"
	"fmt"
	"math"

	"focalgrid/setting"
)

const maxImages = 1_000_000

// Params are the settings of the synthetic generator.
var Params = []setting.Param{
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

// LookParams are the settings that the scenes and the crops have in common.
var LookParams = []setting.Param{
	{Name: "noise", Kind: setting.Number, Max: 64, Check: decimals("noise"), Doc: "of a generated pixel: standard deviation, in grey levels of 0…255"},
	{Name: "clutter", Kind: setting.Number, Max: 1, Check: decimals("clutter"), Doc: "of a generated background: how rough it is and how many lines and blobs lie on it"},
}

// CropParams are the settings of the crops that a backbone is pretrained on.
var CropParams = []setting.Param{
	{Name: "pixels", Kind: setting.Int, Min: 32, Max: 1024, Doc: "side of a crop"},
	{Name: "classes", Kind: setting.Int, Min: 1, Max: float64(len(shapeNames) - 1), Doc: `kinds of object, to which "none" is added`},
	{Name: "seed", Kind: setting.Seed, Doc: "of the crops and of the pretraining"},
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

// NewConfig makes the synthetic set of the settings.
func NewConfig(v setting.Values) Config {
	return Config{
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
