package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Step is one line of the training log. Numbers that are not finite are stored as absent and
// read back as NaN.
type Step struct {
	Step         int
	Loss         float64 // the sum of Losses, which was optimised
	Losses       []Loss  // after normalisation, in the same order at every step of a trial
	LR, GradNorm float64
	Positives    int // anchors assigned to an object in this batch
}

// Loss is the value of one term of the loss.
type Loss struct {
	Name  string // "class", "box"
	Value float64
}

// FirstNames names the two losses of every log from before losses had names.
var FirstNames = []string{"class", "box"}

// FirstLosses names the losses of a step from before losses had names.
func FirstLosses(class, box float64) []Loss {
	return []Loss{{FirstNames[0], class}, {FirstNames[1], box}}
}

// Key returns the name that columns of the loss have in bundles and comparisons: "box_loss"
// of "box". The classification loss keeps its first name, cls_loss.
func (l Loss) Key() string {
	if l.Name == FirstNames[0] {
		return "cls_loss"
	}
	return l.Name + "_loss"
}

// lossNamed is the inverse of Key.
func lossNamed(key string) (name string, ok bool) {
	if key == (Loss{Name: FirstNames[0]}).Key() {
		return FirstNames[0], true
	}
	return strings.CutSuffix(key, "_loss")
}

func sameLoss(a, b Loss) bool { return a.Name == b.Name }

func hasName(l Loss, name string) bool { return l.Name == name }

var lossPattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// checkSteps refuses a log that no training can have written.
func checkSteps(steps []Step) error {
	for i, p := range steps {
		switch {
		case i > 0 && p.Step <= steps[i-1].Step:
			return fmt.Errorf("steps: %d after %d", p.Step, steps[i-1].Step)
		case p.Step < 0 || p.Positives < 0:
			return fmt.Errorf("step %d: %d positives", p.Step, p.Positives)
		case !slices.EqualFunc(p.Losses, steps[0].Losses, sameLoss):
			return fmt.Errorf("step %d has other losses than step %d", p.Step, steps[0].Step)
		}
	}
	if len(steps) == 0 {
		return nil
	}
	known := map[string]bool{}
	for _, l := range steps[0].Losses {
		if name, _ := lossNamed(l.Key()); name != l.Name || !lossPattern.MatchString(name) || known[name] {
			return fmt.Errorf("steps: a loss has the name %.40q, want small letters, and each name once", l.Name)
		}
		known[l.Name] = true
	}
	return nil
}

// stepsJSON is a training log in columns, which take half the space of rows: one for each
// figure and each loss.
type stepsJSON []Step

func (s stepsJSON) MarshalJSON() ([]byte, error) {
	if err := checkSteps(s); err != nil {
		return nil, err
	}
	buf := []byte{'{'}
	column := func(key string, appendTo func(buf []byte, p *Step) []byte) {
		if len(buf) > 1 {
			buf = append(buf, ',')
		}
		buf = append(strconv.AppendQuote(buf, key), ":["...)
		for i := range s {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendTo(buf, &s[i])
		}
		buf = append(buf, ']')
	}
	column("step", func(buf []byte, p *Step) []byte { return strconv.AppendInt(buf, int64(p.Step), 10) })
	column("loss", func(buf []byte, p *Step) []byte { return number(p.Loss).append(buf) })
	if len(s) > 0 {
		for i, l := range s[0].Losses {
			column(l.Key(), func(buf []byte, p *Step) []byte { return number(p.Losses[i].Value).append(buf) })
		}
	}
	column("lr", func(buf []byte, p *Step) []byte { return number(p.LR).append(buf) })
	column("grad_norm", func(buf []byte, p *Step) []byte { return number(p.GradNorm).append(buf) })
	column("positives", func(buf []byte, p *Step) []byte { return strconv.AppendInt(buf, int64(p.Positives), 10) })
	return append(buf, '}'), nil
}

func (s *stepsJSON) UnmarshalJSON(text []byte) error {
	var step, positives []int
	var loss, lr, norm []number
	type column struct {
		loss   Loss
		values *[]number
	}
	var losses []column
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("steps: %.20q, want columns", text)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var values any
		switch key {
		case "step":
			values = &step
		case "loss":
			values = &loss
		case "lr":
			values = &lr
		case "grad_norm":
			values = &norm
		case "positives":
			values = &positives
		default:
			name, ok := lossNamed(key.(string))
			if !ok {
				return fmt.Errorf("steps: unknown field %.40q", key)
			}
			losses = append(losses, column{Loss{Name: name}, new([]number)})
			values = losses[len(losses)-1].values
		}
		if err := d.Decode(values); err != nil {
			return fmt.Errorf("steps: %s: %w", key, err)
		}
	}
	n := len(step)
	lengths := []int{len(loss), len(lr), len(norm), len(positives)}
	for _, c := range losses {
		lengths = append(lengths, len(*c.values))
	}
	for _, m := range lengths {
		if m != n {
			return fmt.Errorf("steps: columns of %d and %d values", n, m)
		}
	}
	if *s = nil; n == 0 {
		return nil
	}
	*s = make([]Step, n)
	for i := range *s {
		p := Step{Step: step[i], Loss: float64(loss[i]), LR: float64(lr[i]), GradNorm: float64(norm[i]), Positives: positives[i]}
		for _, c := range losses {
			p.Losses = append(p.Losses, Loss{c.loss.Name, float64((*c.values)[i])})
		}
		(*s)[i] = p
	}
	return nil
}

// SumSteps returns the checksum of a training log. The names of the first losses add nothing, so
// that checksums from before losses had names stay right.
func SumSteps(steps []Step) string {
	d := newDigest()
	for _, p := range steps {
		d.int(int64(p.Step), int64(p.Positives))
		d.float(p.Loss)
		for _, l := range p.Losses {
			d.float(l.Value)
		}
		d.float(p.LR, p.GradNorm)
		if !slices.EqualFunc(p.Losses, FirstNames, hasName) {
			for _, l := range p.Losses {
				d.text(l.Name)
			}
		}
	}
	return d.hex()
}
