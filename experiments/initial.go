package experiments

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// InitialWeights returns the tensors that a trial of cfg with that seed starts from: the pretrained backbone where the
// settings ask for one (made now if it has to be), and the draws of the seed for everything else.
func (t *Trainer) InitialWeights(ctx context.Context, cfg *plan.Config, seed uint64) ([]weights.Tensor, error) {
	classes, err := detector.Classes(cfg)
	if err != nil {
		return nil, err
	}
	init, err := t.InitIdentity(cfg)
	if err != nil {
		return nil, err
	}
	d := detector.New(*cfg, classes, t.Engine, engine.NewState(), detector.Drawer(seed))
	defer d.Close()
	if err := t.initialise(ctx, d, init); err != nil {
		return nil, err
	}
	if err := d.AddMissing(); err != nil {
		return nil, err
	}
	return detector.NetworkTensors(d.State), nil
}

// SavePretrained returns the pretrained backbone of cfg as Pretrain does, and puts a copy of its file, named
// IDENTITY.safetensors, into dir. again trains it whether or not it is there already.
func (t *Trainer) SavePretrained(ctx context.Context, cfg *plan.Config, dir string, again bool) (p Pretrained, path string, err error) {
	var f *weights.File
	if again {
		p.Key = pretrainKey(cfg, t.Engine.Info().Name)
		f, err = t.pretrain(ctx, cfg, p.Key)
	} else {
		f, p, err = t.pretrained(ctx, cfg)
	}
	if err != nil {
		return p, "", err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return p, "", err
	}
	path = filepath.Join(dir, p.Key+tensorsSuffix)
	if again {
		p.Where, p.Accuracy = path, f.Metadata["accuracy"]
	}
	if err := weights.Write(path, f.Tensors, f.Metadata); err != nil {
		return p, path, err
	}
	return p, path, os.RemoveAll(t.pretrainWork(p.Key))
}

// Embedded lists the pretrained backbones inside the program.
func Embedded() ([]Pretrained, error) {
	files, err := fs.Glob(embedded, embeddedName("*"))
	if err != nil {
		return nil, err
	}
	var out []Pretrained
	for _, name := range files {
		text, err := embedded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := weights.Decode(text, name)
		if err != nil {
			return nil, err
		}
		key := strings.TrimSuffix(filepath.Base(name), tensorsSuffix)
		if err := checkPretrained(f, key); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, Pretrained{Key: key, Where: fmt.Sprintf("embedded in the program, %d kB", len(text)/1000), Accuracy: f.Metadata["accuracy"]})
	}
	return out, nil
}
