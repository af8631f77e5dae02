package plan

import (
	"math"
)

// Config is one trial's settings, every one of them given: there are no
// defaults here, they stand in the profile files (ablations/profiles) alone.
// The yaml tag is a setting's name in grid files and on the command line; nested
// names are joined by dots, as in loss.gamma. A pointer is a number that may
// also be the word none.
//
// A new setting is one line here, one line in each profile, and, where it does not
// always matter, one line in relevance (canonical.go). Its was tag is the value that the
// program had before there was the setting: at this value it stays out of a trial's
// identity, and records that lack it are read as having it, so that no recorded trial is
// orphaned.
type Config struct {
	Data     Data     `yaml:"data"`
	Image    Image    `yaml:"image"`
	Model    Model    `yaml:"model"`
	Anchors  Anchors  `yaml:"anchors"`
	Sampler  Sampler  `yaml:"sampler"`
	Loss     Loss     `yaml:"loss"`
	BoxLoss  BoxLoss  `yaml:"box_loss"`
	Optim    Optim    `yaml:"optim"`
	Train    Train    `yaml:"train"`
	Eval     Eval     `yaml:"eval"`
	Pretrain Pretrain `yaml:"pretrain"`
}

// Data says which images are trained and tested on. The settings from Pixels
// on are those of the synthetic generator; a COCO folder answers them itself.
type Data struct {
	Name string `yaml:"name"` // synthetic, or coco: annotations and images on disk
	Dir  string `yaml:"dir"`  // the folder, absolute; empty: none given, and for synthetic the cache's

	Train string `yaml:"train"` // names of the splits
	Tune  string `yaml:"tune"`  // where settings are chosen
	Val   string `yaml:"val"`   // what tables report

	Pixels      int        `yaml:"pixels"`  // side of the square images
	Classes     int        `yaml:"classes"` // kinds of object
	Images      DataImages `yaml:"images"`
	Objects     float64    `yaml:"objects"`     // mean number in an image that is not empty
	Empty       float64    `yaml:"empty"`       // share of images without objects
	Distractors float64    `yaml:"distractors"` // mean number of shapes of no class in an image
	MinSize     float64    `yaml:"min_size"`    // of an object, as a share of the side; sizes are log-uniform
	MaxSize     float64    `yaml:"max_size"`
	Noise       float64    `yaml:"noise"`   // standard deviation, in grey levels of 0…255
	Clutter     float64    `yaml:"clutter"` // of the background, 0…1
	Seed        uint64     `yaml:"seed"`    // of the images, not of the training
}

// DataImages counts the generated images of each split.
type DataImages struct {
	Train int `yaml:"train"`
	Tune  int `yaml:"tune"`
	Val   int `yaml:"val"`
}

// Image says how a picture becomes the network's input.
type Image struct {
	Short int       `yaml:"short"` // pixels the shorter side is brought to
	Long  int       `yaml:"long"`  // the longer side's cap in pixels; 0 caps it at 5/3 of the shorter one
	Pad   int       `yaml:"pad"`   // sides are padded to a multiple of it
	Mean  []float64 `yaml:"mean"`  // red, green, blue in 0…1, subtracted
	Std   []float64 `yaml:"std"`   // red, green, blue in 0…1, divided by
	Flip  float64   `yaml:"flip"`  // probability of a horizontal flip in training
}

// Model is the network of §4: a residual backbone, a feature pyramid, two heads.
type Model struct {
	Depth         int      `yaml:"depth"`          // 18, 34, 50, 101 or 152
	Width         float64  `yaml:"width"`          // multiplies the backbone's channels
	Norm          string   `yaml:"norm"`           // of the backbone: frozen, batch or group
	FreezeStages  int      `yaml:"freeze_stages"`  // 0 none, 1 the stem, 2 the stem and the first stage, …
	FPN           int      `yaml:"fpn"`            // channels of pyramid and heads
	P6            string   `yaml:"p6"`             // made from c5 (the paper) or p5
	HeadNorm      string   `yaml:"head_norm"`      // none (the paper), group or batch
	GroupChannels int      `yaml:"group_channels"` // channels a group, where a norm is group
	HeadInit      string   `yaml:"head_init"`      // of the four 3×3 layers: gaussian (σ .01, the paper) or kaiming
	Prior         *float64 `yaml:"prior"`          // π of §3.3; none leaves the last bias at 0
}

// Anchors are the boxes at each cell of P3…P7.
type Anchors struct {
	Base   float64   `yaml:"base"`   // side at scale 1, in strides; 4 in the paper
	Scales int       `yaml:"scales"` // n scales 2^(k/n), k < n
	Ratios []float64 `yaml:"ratios"` // height / width
	Offset float64   `yaml:"offset"` // of the first centre, in strides: 0 or .5
	Round  string    `yaml:"round"`  // none, or torchvision: whole-pixel sides
}

// Sampler says which anchors learn what.
type Sampler struct {
	Type     string  `yaml:"type"`     // all (the paper), ssd: 3:1 mining, or ohem
	Positive float64 `yaml:"positive"` // IoU from which an anchor is an object's
	Negative float64 `yaml:"negative"` // IoU below which it is background; between, it is left out
	Force    string  `yaml:"force"`    // each object's best anchor: none, detectron2 or torchvision
	// Normalizer is what losses are divided by: the positives of the batch, of each
	// image, or their moving average: batch, image, ema.
	Normalizer string `yaml:"normalizer"`

	// Mining only. What §5.1 leaves open about OHEM is a setting.
	Ratio        float64 `yaml:"ratio"`         // negatives for each positive: 3 for ssd and for OHEM 1:3; 0: ohem takes whatever is hardest
	MinNegatives int     `yaml:"min_negatives"` // ssd: negatives of an image without positives
	Batch        int     `yaml:"batch"`         // ohem: examples kept
	Scope        string  `yaml:"scope"`         // ohem: of each image, or of the whole batch: image, batch
	NMS          float64 `yaml:"nms"`           // ohem: IoU above which the easier of two examples goes; 1: none goes
	Score        string  `yaml:"score"`         // ohem: hard by class (cross entropy) or class+box (and the box loss)
	ScoreBeta    float64 `yaml:"score_beta"`    // ohem: smooth L1's beta in class+box
	NMSOn        string  `yaml:"nms_on"`        // ohem: overlap of decoded boxes or of anchors: decoded, anchors
	NMSClass     string  `yaml:"nms_class"`     // ohem: agnostic, or per_class of the largest logit
	NMSGroups    string  `yaml:"nms_groups"`    // ohem: positives and negatives joint or separate; auto: separate with a ratio
	Preselect    int     `yaml:"preselect"`     // ohem: hardest examples of an image that enter the NMS; 0: all
	Fill         bool    `yaml:"fill"`          // ohem with a ratio: fill up with negatives where positives are few
	ClassCount   string  `yaml:"class_count"`   // ohem: what the normalizer counts: selected, positives, or batch: the setting above
	BoxLoss      string  `yaml:"box_loss"`      // ohem: positives whose box is learnt: selected, all
	BoxCount     string  `yaml:"box_count"`     // ohem: what divides the box loss: positives, or same as class_count
}

// Loss is the classification loss.
type Loss struct {
	Type  string   `yaml:"type"`  // focal (eq. 5), ce (eq. 3), focal_star (appendix A)
	Gamma float64  `yaml:"gamma"` // of focal and focal_star
	Alpha *float64 `yaml:"alpha"` // weight of the positive class; none: no weights
	Beta  float64  `yaml:"beta"`  // of focal_star
}

// BoxLoss is the regression loss.
type BoxLoss struct {
	Type   string  `yaml:"type"`   // a name of loss.BoxNames
	Beta   float64 `yaml:"beta"`   // where smooth_l1 turns from square to straight
	Weight float64 `yaml:"weight"` // beside the classification loss
}

// Optim is the optimiser and its schedule.
type Optim struct {
	Type         string    `yaml:"type"` // sgd or adamw
	LR           float64   `yaml:"lr"`
	Momentum     float64   `yaml:"momentum"` // sgd
	Beta1        float64   `yaml:"beta1"`    // adamw
	Beta2        float64   `yaml:"beta2"`    // adamw
	Eps          float64   `yaml:"eps"`      // adamw
	WeightDecay  float64   `yaml:"weight_decay"`
	DecayBias    bool      `yaml:"decay_bias"`    // false spares biases and the norms' weights
	Warmup       int       `yaml:"warmup"`        // iterations
	WarmupFactor float64   `yaml:"warmup_factor"` // share of lr at the first iteration; linear from there
	Steps        []float64 `yaml:"steps"`         // when lr is multiplied by factor: iterations, or below 1 a share of train.iters
	Factor       float64   `yaml:"factor"`
	Clip         float64   `yaml:"clip"` // largest norm of the gradient; 0: none
}

// Train is how long and how wide training is.
type Train struct {
	Iters int `yaml:"iters"`
	Batch int `yaml:"batch"` // images
}

// Eval says what is scored and how detections are made.
type Eval struct {
	Split    string  `yaml:"split"`     // train, tune or val: which of data's three
	Score    float64 `yaml:"score"`     // AP counts detections above this score; .05 in §4.1
	LowScore float64 `yaml:"low_score"` // second AP; detections are kept from here on
	TopK     int     `yaml:"topk"`      // most candidates of a pyramid level
	NMS      float64 `yaml:"nms"`       // IoU
	MaxDets  int     `yaml:"max_dets"`  // of an image
}

// Pretrain says where the backbone's first weights come from.
type Pretrain struct {
	Type    string  `yaml:"type"`    // crops: a classifier of synthetic crops, trained first; file; none: random
	File    string  `yaml:"file"`    // safetensors, for type file
	Iters   int     `yaml:"iters"`   // the rest is for type crops
	Batch   int     `yaml:"batch"`   //
	Pixels  int     `yaml:"pixels"`  // side of a crop
	Crops   int     `yaml:"crops"`   // how many different ones
	Classes int     `yaml:"classes"` // kinds of object; "none" comes on top
	LR      float64 `yaml:"lr"`      // at the start of a cosine
	Seed    uint64  `yaml:"seed"`
}

// StepsAt gives the iterations at which the learning rate falls, for a training of iters.
func (o *Optim) StepsAt(iters int) []int {
	out := make([]int, len(o.Steps))
	for i, at := range o.Steps {
		if at < 1 {
			at = math.Round(at * float64(iters))
		}
		out[i] = int(at)
	}
	return out
}

// LongSide is the longer side's cap in pixels.
func (im *Image) LongSide() int {
	if im.Long == 0 {
		return (5*im.Short + 1) / 3 // rounded; 600 gives 1000 and 800 gives 1333
	}
	return im.Long
}

// EvalSplit is the name of the split that is scored.
func (c *Config) EvalSplit() string {
	switch c.Eval.Split {
	case "train":
		return c.Data.Train
	case "tune":
		return c.Data.Tune
	}
	return c.Data.Val
}
