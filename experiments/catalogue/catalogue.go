// Package catalogue joins the settings of all components under the names of their groups, and
// declares the settings of the harness itself: how long a trial is trained, what is scored, and where the
// backbone's first weights come from.
package catalogue

import (
	"errors"
	"slices"

	"focalgrid/box"
	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
	"focalgrid/loss"
	"focalgrid/model"
	"focalgrid/optim"
	"focalgrid/sampler"
	"focalgrid/setting"
)

// Groups lists all settings.
func Groups() []setting.Group {
	return []setting.Group{
		{Name: "data", Params: dataset.Params},
		{Name: "image", Params: dataset.ImageParams},
		{Name: "model", Params: model.Params},
		{Name: "anchors", Params: model.AnchorParams},
		{Name: "sampler", Params: sampler.Params()},
		{Name: "loss", Params: loss.ClassParams()},
		{Name: "box_loss", Params: loss.BoxParams()},
		{Name: "optim", Params: optim.Params},
		{Name: "train", Params: train},
		{Name: "eval", Params: slices.Concat(eval, box.Params)},
		{Name: "pretrain", Params: pretrain},
	}
}

const maxIters = 100_000_000

var train = []setting.Param{
	{Name: "iters", Kind: setting.Int, Max: maxIters, Doc: "steps of the training"},
	{Name: "batch", Kind: setting.Int, Min: 1, Max: 4096, Doc: "images a step"},
	{Name: "precision", Kind: setting.Text, Choices: []string{"f32", "bf16"}, Was: "f32",
		Doc: "of convolutions: bf16 rounds what they read and write; weights, statistics and losses stay f32 (--engine xla)"},
}

var eval = []setting.Param{
	{Name: "split", Kind: setting.Text, Choices: []string{"train", "tune", "val"}, Doc: "split that is scored: which of data's three"},
	{Name: "score", Kind: setting.Number, Max: 1, Below: true, Check: checkScore, Doc: "AP counts detections above this score; .05 in §4.1"},
}

func checkScore(v setting.Values) error {
	if v.Number("score") < v.Number("low_score") {
		return errors.New("must be at least low_score, from which on detections are kept")
	}
	return nil
}

var pretrain = []setting.Param{
	{Name: "type", Kind: setting.Text, Doc: "first weights of the backbone: a classifier of synthetic crops, trained first; a file; or none: random",
		Kinds: map[string][]setting.Param{"none": nil, "file": {file}, "crops": slices.Concat(crops, synthetic.CropParams)}},
}

var file = setting.Param{Name: "file", Kind: setting.Text, Path: true, Doc: "ImageNet weights as safetensors or .pth, under torchvision's names"}

var crops = []setting.Param{
	{Name: "iters", Kind: setting.Int, Min: 1, Max: maxIters, Doc: "steps of the pretraining"},
	{Name: "batch", Kind: setting.Int, Min: 1, Max: 4096, Doc: "crops a step"},
	{Name: "crops", Kind: setting.Int, Min: 1, Max: 1_000_000, Doc: "how many different crops"},
	{Name: "lr", Kind: setting.Number, Above: true, Max: 1e6, Doc: "learning rate at the start of a cosine"},
}
