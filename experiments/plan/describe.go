package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"focalgrid/paper"
	"focalgrid/setting"
)

// WithSeeds returns the plan with more seeds, after its own. Seeds that have chosen its rows' own best values are left
// out: what they report is too good.
func (p *Plan) WithSeeds(more []uint64) *Plan {
	wide := *p
	wide.Seeds = slices.Clone(p.Seeds)
	for _, seed := range more {
		if !slices.Contains(p.Seeds, seed) && (p.Best == nil || !slices.Contains(p.Tune.Seeds, seed)) {
			wide.Seeds = append(wide.Seeds, seed)
		}
	}
	wide.Trials = trials(wide.Rows, wide.Seeds)
	return &wide
}

// RowName spells the factors of a row: "loss.type=focal loss.gamma=2"; "" where the file varies nothing.
func (p *Plan) RowName(row int) string {
	var parts []string
	for _, key := range p.Factors {
		if v, ok := p.Rows[row].Factors[key]; ok {
			parts = append(parts, key+"="+setting.Spell(v))
		}
	}
	return strings.Join(parts, " ")
}

// Finding returns the paper's conclusion from the table that the plan mirrors, or "".
func (p *Plan) Finding() string {
	t, err := paper.Load(p.Table)
	if err != nil {
		return ""
	}
	return t.Finding
}

// DescribeData describes the folder of the data and how it is read; empty for the
// generator's own folder.
func (c *Config) DescribeData(classes int) string {
	switch {
	case c.Text("data.dir") == "":
		return ""
	case Synthetic(c):
		return c.Text("data.dir") + ", the synthetic set"
	}
	learned := ""
	if classes > 0 {
		learned = fmt.Sprintf(" (%d classes)", classes)
	}
	return fmt.Sprintf("%s, read as COCO: trained on %s%s, scored on %s", c.Text("data.dir"), c.Text("data.train"), learned, c.EvalSplit())
}

// Backbone describes what the backbone of a trial of c starts from. init is the
// identity of its initial weights; "" leaves it out.
func (c *Config) Backbone(init string) string {
	identity := ""
	if init != "" {
		identity = fmt.Sprintf(", identity %.12s", init)
	}
	switch {
	case c.Text("pretrain.type") == "crops":
		return "backbone pretrained on synthetic crops" + identity
	case c.Text("pretrain.type") == "none":
		return "backbone from random weights"
	case c.Text("pretrain.file") == "":
		return "backbone from a file that is not named yet"
	}
	return "backbone from " + c.Text("pretrain.file") + identity
}

// DescribeLoss spells the classification loss as settings: "loss.type=focal loss.alpha=0.25 loss.gamma=2".
func (c *Config) DescribeLoss() string {
	matter := Settings(c)
	words := []string{"loss.type=" + c.Text("loss.type")}
	for _, key := range slices.Sorted(maps.Keys(matter)) {
		if strings.HasPrefix(key, "loss.") && key != "loss.type" {
			words = append(words, key+"="+setting.Spell(matter[key]))
		}
	}
	return strings.Join(words, " ")
}

// DescribeSetting describes what a table's rows share.
func DescribeSetting(c *Config, factors []string, init string) string {
	varied := map[string]bool{}
	for _, f := range factors {
		varied[f] = true
	}
	var parts []string
	if Synthetic(c) {
		parts = append(parts, fmt.Sprintf("synthetic %s (%d classes)", c.EvalSplit(), c.Int("data.classes")))
	} else {
		parts = append(parts, "COCO-format "+c.EvalSplit())
	}
	backbone := fmt.Sprintf("ResNet-%d-FPN", c.Int("model.depth"))
	if varied["model.depth"] {
		backbone = "ResNet-FPN"
	}
	if c.Number("model.width") != 1 && !varied["model.width"] {
		backbone += fmt.Sprintf(" × %s width", setting.Spell(c.Number("model.width")))
	}
	parts = append(parts, backbone)
	if !slices.ContainsFunc(factors, func(f string) bool { return strings.HasPrefix(f, "pretrain.") }) {
		parts = append(parts, c.Backbone(init))
	}
	if !varied["image.short"] {
		parts = append(parts, fmt.Sprintf("%d px", c.Int("image.short")))
	}
	switch iters, batch := fmt.Sprintf("%d iterations", c.Int("train.iters")), fmt.Sprintf("%d images", c.Int("train.batch")); {
	case varied["train.iters"] && varied["train.batch"]:
	case varied["train.iters"]:
		parts = append(parts, "iterations of "+batch)
	case varied["train.batch"]:
		parts = append(parts, iters)
	default:
		parts = append(parts, iters+" of "+batch)
	}
	return strings.Join(parts, ", ")
}
