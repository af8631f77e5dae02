package detector

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"focalgrid/experiments/plan"
	"focalgrid/model"
	"focalgrid/setting"
	"focalgrid/weights"
)

// CheckInitial checks, before the first step, that a trial of c can start from the
// weights that it asks for: the file can be read, and every tensor of the network
// that it should hold is there in the right shape. classes is the number of object
// classes, or 0 where it is not known yet.
func CheckInitial(c *plan.Config, classes int) error {
	switch {
	case c.Text("pretrain.type") != "file" && c.Text("pretrain.file") != "":
		return fmt.Errorf("pretrain.file is set, but pretrain.type is %s: add --set pretrain.type=file, or leave the file out", c.Text("pretrain.type"))
	case c.Text("pretrain.type") != "file" || c.Text("pretrain.file") == "": // plan.Missing reports a file that must still be given
		return nil
	}
	_, _, err := ReadInitial(c, classes)
	return err
}

// ReadInitial reads pretrain.file and fits it to the network. It returns tensors under our
// names, and their identity.
//
// A file may name the backbone's tensors as torchvision's ResNets do, conv1.weight and
// layer1.0.conv1.weight, alone or after a prefix such as module. or backbone.; then
// only these tensors are used, and the identity is the hash of them. In a file under our own names,
// after backbone.body., all that the network knows is used, heads too, and the identity
// is the hash of everything in it.
func ReadInitial(c *plan.Config, classes int) (Tensors, string, error) {
	path := c.Text("pretrain.file")
	f, err := weights.Open(path)
	if err != nil {
		return nil, "", err
	}
	tensors, err := model.Tensors(ModelConfig(c, max(1, classes)))
	if err != nil {
		return nil, "", err
	}
	prefix, err := bodyPrefix(f)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	given := ByName(f)
	other := map[string]string{} // types that are not read
	for _, s := range f.Skipped {
		other[s.Name] = s.DType
	}
	var used []weights.Tensor
	var wrong, missing []string
	for _, n := range tensors {
		name := n.Name
		switch {
		case IsBody(name):
			name = prefix + strings.TrimPrefix(name, ourPrefix)
		case prefix != ourPrefix:
			continue
		}
		t, ok := given[name]
		switch {
		case !ok && other[name] != "":
			wrong = append(wrong, fmt.Sprintf("%s is of type %s, expected numbers with a fraction", name, other[name]))
		case !ok && IsBody(n.Name):
			missing = append(missing, fmt.Sprintf("%s is missing, expected with shape %v", name, n.Shape))
		case ok && !slices.Equal(t.Shape, n.Shape) && !(classes == 0 && strings.Contains(name, ".cls_logits.")):
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, expected %v", name, t.Shape, n.Shape))
		case ok:
			used = append(used, weights.Tensor{Name: n.Name, Shape: t.Shape, Data: t.Data})
		}
	}
	if wrong = append(wrong, missing...); len(wrong) > 0 {
		const shown = 6
		text := strings.Join(wrong[:min(len(wrong), shown)], "; ")
		if more := len(wrong) - shown; more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
		return nil, "", fmt.Errorf("%s does not fit a ResNet-%d of width %s (model.depth, model.width): %s", path, c.Int("model.depth"), setting.Spell(c.Number("model.width")), text)
	}
	hashed := used
	if prefix == ourPrefix {
		hashed = f.Tensors
	}
	identity, err := weights.Hash(hashed)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	out := Tensors{}
	for _, t := range used {
		out[t.Name] = t
	}
	return out, identity, nil
}

// ourPrefix begins the backbone's names in the network.
const ourPrefix = "backbone.body."

// bodyPrefix returns the prefix of a ResNet's names in the file.
func bodyPrefix(f *weights.File) (string, error) {
	names := map[string]bool{}
	for _, t := range f.Tensors {
		names[t.Name] = true
	}
	var found []string
	for _, t := range f.Tensors {
		if p, ok := strings.CutSuffix(t.Name, "conv1.weight"); ok && (p == "" || strings.HasSuffix(p, ".")) && names[p+"layer1.0.conv1.weight"] {
			found = append(found, p)
		}
	}
	switch {
	case slices.Contains(found, ourPrefix):
		return ourPrefix, nil
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("holds several ResNets, after the prefixes %q: save one of them", found)
	}
	const expected = "holds no ResNet: expected conv1.weight, layer1.0.conv1.weight and so on, as torchvision names them, alone or after a prefix such as backbone.body. or module."
	if len(f.Tensors) == 0 {
		return "", errors.New(expected + "; it has no tensors of numbers with a fraction")
	}
	return "", fmt.Errorf("%s; its first tensor is %q of %d", expected, f.Tensors[0].Name, len(f.Tensors))
}
