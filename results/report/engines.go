package report

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"focalgrid/columns"
)

// enginesOf describes the engines of a side's trials.
func enginesOf(s Side) []string {
	engines := map[string]bool{}
	for _, t := range s.Trials {
		settings, _ := leaves(t.Config) // none in a damaged record
		engines[describeEngine(t.Engine, settings["train.precision"] == `"bf16"`)] = true
	}
	return slices.Sorted(maps.Keys(engines))
}

// writeEngines says which engines each side's trials are of, where they are not all of one.
func writeEngines(w *bytes.Buffer, a, b Side) {
	of := [][]string{enginesOf(a), enginesOf(b)}
	if len(of[0]) == 1 && slices.Equal(of[0], of[1]) {
		return
	}
	fmt.Fprintf(w, "\nengines: A %s; B %s\n", strings.Join(of[0], ", "), strings.Join(of[1], ", "))
}

// describeEngine adds to the name of an engine on which kind of device, in which precision and on how many devices it
// computes, as the name has it: "gomlx-xla-cuda-f32-nchw-x2 (CUDA, float32, 2 devices)". The precision of convolutions is
// the trial's. Names of another form stay as they are.
func describeEngine(name string, bfloat16 bool) string {
	parts := strings.Split(name, "-")
	switch {
	case parts[0] == "gorgonia":
		return name + " (CPU, float32)"
	case parts[0] != "gomlx" || len(parts) < 4:
		return name
	}
	devices := ""
	if n, ok := strings.CutPrefix(parts[len(parts)-1], "x"); ok && len(parts) > 4 {
		devices, parts = ", "+n+" devices", parts[:len(parts)-1]
	}
	device := strings.ToUpper(strings.Join(parts[2:len(parts)-2], "-"))
	if device == "" { // plain Go
		device = "CPU"
	}
	precision := parts[len(parts)-2]
	if long, ok := map[string]string{"f32": "float32", "f64": "float64"}[precision]; ok {
		precision = long
	}
	if bfloat16 {
		precision += " with bfloat16 convolutions"
	}
	return fmt.Sprintf("%s (%s, %s%s)", name, device, precision, devices)
}

// oneTraining reports whether the sides are one training on two engines: a trial each, with the same settings and seed.
func oneTraining(a, b Side, settings []contrast) bool {
	return len(a.Trials) == 1 && len(b.Trials) == 1 && len(settings) == 0 && a.Trials[0].Engine != b.Trials[0].Engine
}

// writeStepByStep writes the losses and the norms of the gradient of one training on two engines at its first steps, at
// powers of two and at the last step that both sides have.
func writeStepByStep(w *bytes.Buffer, a, b Side, c curves) error {
	norm := slices.IndexFunc(c.quantities, func(q quantity) bool { return q.name == "grad_norm" })
	shared := slices.DeleteFunc(slices.Clone(c.steps), func(step int) bool { return c.a[step] == nil || c.b[step] == nil })
	var lines [][]string
	for i, step := range shared {
		if step&(step-1) != 0 && i != len(shared)-1 {
			continue
		}
		line := []string{strconv.Itoa(step)}
		for _, q := range []int{0, norm} { // the loss is the first
			x, y := c.a[step][q], c.b[step][q]
			line = append(line, float32Text(x), float32Text(y), relative(x, y))
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nThe same settings and seed on two engines, at the first steps, powers of two and the last:\n")
	if err := columns.Ruled(w, []string{"step", "loss A", "loss B", "(B - A)/A", "grad_norm A", "grad_norm B", "(B - A)/A"}, lines, 0); err != nil {
		return err
	}
	x, y := a.Trials[0], b.Trials[0]
	var other []string
	for _, part := range []struct {
		name   string
		differ bool
	}{{"data", x.Dataset != y.Dataset}, {"first weights", x.Init != y.Init}, {"numerics", x.Numerics != y.Numerics}} {
		if part.differ {
			other = append(other, part.name)
		}
	}
	if len(other) > 0 {
		fmt.Fprintf(w, "They differ in %s too: these are not two engines at one task.\n", strings.Join(other, ", "))
		return nil
	}
	w.WriteString("Engines add up in different orders, so rounding parts them first. Then a value before a ReLU lies on\n" +
		"the other side of 0 on one of them, and from there on each trains on by itself.\n")
	return nil
}

// float32Text writes a number with the digits that a float32 has; a gap where there is none.
func float32Text(v float64) string {
	if math.IsNaN(v) {
		return columns.Gap
	}
	return strconv.FormatFloat(v, 'g', 8, 64)
}

// relative writes a difference in relation to the first number; a gap where it has no value.
func relative(a, b float64) string {
	d := (b - a) / math.Abs(a)
	if a == b {
		d = 0
	}
	switch {
	case math.IsNaN(d) || math.IsInf(d, 0):
		return columns.Gap
	case d == 0:
		return "0"
	}
	return strconv.FormatFloat(d, 'e', 0, 64)
}
