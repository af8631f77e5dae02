package plan

import "testing"

// The words under a table name what its rows share, and nothing that they differ in.
func TestDescribeSetting(t *testing.T) {
	p := mustPlan(t, "profile: mini\nseeds: [0]\n", Selection{})
	for _, tt := range []struct {
		factors []string
		want    string
	}{
		{nil, "synthetic val (4 classes), ResNet-18-FPN × 0.25 width, backbone pretrained on synthetic crops, 128 px, 600 iterations of 16 images"},
		{[]string{"model.depth"}, "synthetic val (4 classes), ResNet-FPN × 0.25 width, backbone pretrained on synthetic crops, 128 px, 600 iterations of 16 images"},
		{[]string{"model.width", "image.short"}, "synthetic val (4 classes), ResNet-18-FPN, backbone pretrained on synthetic crops, 600 iterations of 16 images"},
		{[]string{"train.iters"}, "synthetic val (4 classes), ResNet-18-FPN × 0.25 width, backbone pretrained on synthetic crops, 128 px, iterations of 16 images"},
		{[]string{"train.batch"}, "synthetic val (4 classes), ResNet-18-FPN × 0.25 width, backbone pretrained on synthetic crops, 128 px, 600 iterations"},
	} {
		if got := DescribeSetting(&p.Rows[0].Config, tt.factors, ""); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.factors, got, tt.want)
		}
	}
}

func TestBackboneInWords(t *testing.T) {
	cfg := miniConfig(t, "pretrain.type=file", "pretrain.file=/somewhere/resnet18.pth")
	if got := cfg.Backbone("0123456789abcdef"); got != "backbone from /somewhere/resnet18.pth, identity 0123456789ab" {
		t.Error(got)
	}
	cfg.Set("pretrain.type", "crops")
	if got := cfg.Backbone(""); got != "backbone pretrained on synthetic crops" {
		t.Error(got)
	}
	cfg.Set("pretrain.type", "none")
	if got := cfg.Backbone(""); got != "backbone from random weights" {
		t.Error(got)
	}
}
