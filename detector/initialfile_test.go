package detector

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// torchvisionFiles hold the state_dict of a ResNet-18 of an eighth of its width, as
// torchvision, PyTorch and the safetensors library wrote it.
const torchvisionFiles = "../weights/testdata/resnet18"

func fileConfig(t *testing.T, file string, set ...string) plan.Config {
	t.Helper()
	cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: append([]string{"model.width=0.125", "model.fpn=16", "pretrain.type=file", "pretrain.file=" + file}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestInitialFileOfTorchvision: files of torchvision give the backbone every tensor,
// the statistics of its norms too, and the same identity in both formats and under
// every prefix.
func TestInitialFileOfTorchvision(t *testing.T) {
	f, err := weights.Open(torchvisionFiles + ".pth")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{torchvisionFiles + ".pth", torchvisionFiles + ".safetensors"}
	for _, prefix := range []string{"module.", "backbone.", "backbone.body.", "module.backbone.body.", "state_dict."} {
		var renamed []weights.Tensor
		for _, v := range f.Tensors {
			if prefix == ourPrefix && strings.HasPrefix(v.Name, "fc.") {
				continue // whatever is in a file under our names is part of its identity
			}
			v.Name = prefix + v.Name
			renamed = append(renamed, v)
		}
		path := filepath.Join(t.TempDir(), "renamed.safetensors")
		if err := weights.Write(path, renamed, nil); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	var first string
	for _, norm := range []string{"frozen", "batch"} {
		for _, path := range files {
			cfg := fileConfig(t, path, "model.norm="+norm)
			if err := CheckInitial(&cfg, 0); err != nil {
				t.Fatal(err)
			}
			w, identity, err := ReadInitial(&cfg, 0)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = identity
			}
			if identity != first {
				t.Errorf("%s, %s: identity %s, that of the first file is %s", norm, path, identity, first)
			}
			if len(w) != 100 {
				t.Errorf("%s, %s: %d tensors, want all but those of fc", norm, path, len(w))
			}
		}
	}
}

// TestInitialFileIdentity: a file under our own names has the identity that was
// recorded for such files ever since, of all that is in it.
func TestInitialFileIdentity(t *testing.T) {
	f, err := weights.Open(torchvisionFiles + ".pth")
	if err != nil {
		t.Fatal(err)
	}
	ts := []weights.Tensor{{Name: "another", Shape: []int{1}, Data: []float32{1}}}
	for _, v := range f.Tensors {
		v.Name = ourPrefix + v.Name
		ts = append(ts, v)
	}
	path := filepath.Join(t.TempDir(), "ours.safetensors")
	if err := weights.Write(path, ts, nil); err != nil {
		t.Fatal(err)
	}
	cfg := fileConfig(t, path)
	_, identity, err := ReadInitial(&cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := weights.Hash(ts); err != nil || identity != want {
		t.Errorf("identity %s, want %s, %v", identity, want, err)
	}
}

func TestInitialFileRefused(t *testing.T) {
	f, err := weights.Open(torchvisionFiles + ".pth")
	if err != nil {
		t.Fatal(err)
	}
	written := func(change func(ts map[string]weights.Tensor)) string {
		ts := map[string]weights.Tensor(ByName(f))
		change(ts)
		var all []weights.Tensor
		for name, v := range ts {
			v.Name = name
			all = append(all, v)
		}
		path := filepath.Join(t.TempDir(), "changed.safetensors")
		if err := weights.Write(path, all, nil); err != nil {
			t.Fatal(err)
		}
		return path
	}
	head := func(shape ...int) weights.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return weights.Tensor{Shape: shape, Data: make([]float32, n)}
	}
	tests := []struct {
		name, file string
		set        []string
		want       string
	}{
		{"another depth", torchvisionFiles + ".pth", []string{"model.depth=50"},
			"does not fit a ResNet-50 of width 0.125 (model.depth, model.width): layer1.0.conv1.weight has shape [8 8 3 3], expected [8 8 1 1]; layer1.1.conv1"},
		{"another width", torchvisionFiles + ".pth", []string{"model.width=0.25"}, "conv1.weight has shape [8 3 7 7], expected [16 3 7 7]"},
		{"two tensors too few", written(func(ts map[string]weights.Tensor) {
			delete(ts, "bn1.running_mean")
			delete(ts, "layer4.1.conv2.weight")
		}), nil,
			"bn1.running_mean is missing, expected with shape [8]; layer4.1.conv2.weight is missing, expected with shape [64 64 3 3]"},
		{"no ResNet", written(func(ts map[string]weights.Tensor) {
			clear(ts)
			ts["features.0.weight"] = head(1)
		}), nil, `holds no ResNet: expected conv1.weight, layer1.0.conv1.weight and so on`},
		{"two ResNets", written(func(ts map[string]weights.Tensor) {
			for name, v := range maps.Clone(ts) {
				ts["ema."+name] = v
			}
		}), nil, `holds several ResNets, after the prefixes ["" "ema."]`},
		{"a detector of other classes", written(func(ts map[string]weights.Tensor) {
			for name, v := range maps.Clone(ts) {
				ts[ourPrefix+name] = v
			}
			ts["head.classification_head.cls_logits.bias"] = head(91)
		}), nil, "head.classification_head.cls_logits.bias has shape [91], expected [36]"},
		{"no such file", "nowhere.pth", nil, "nowhere.pth: no such file"},
		{"a file, but type crops", torchvisionFiles + ".pth", []string{"pretrain.type=crops"},
			"pretrain.file is set, but pretrain.type is crops: add --set pretrain.type=file"},
	}
	for _, tt := range tests {
		cfg := fileConfig(t, tt.file, tt.set...)
		if err := CheckInitial(&cfg, 4); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
}
