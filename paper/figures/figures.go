// Package figures draws the figures of Lin et al., "Focal Loss for Dense Object Detection" (2017), and figures of the
// same kind that the paper does not have.
//
// Each file makes one figure. A figure of a formula is computed by the plain float64 form of the loss in package
// loss. A figure of published numbers is drawn from package paper, and never has ours on the same axes. A figure of
// measured numbers is drawn from an Input: AP is a fraction there, and × 100 in the figure. How a figure looks is the
// business of package figure; where records are is the business of the caller.
package figures

import (
	"maps"
	"slices"

	"focalgrid/figure"
	"focalgrid/model"
)

// Needs is what a figure is drawn from, beyond what the program itself holds.
type Needs int

// What figures need.
const (
	Nothing Needs = iota // a formula, or published numbers
	Rows                 // the recorded trials of a grid file: Input.Grid
	Network              // the network of a profile: Input.Network
	Trial                // what a trained detector says of its images: Input.Losses
	Engines              // a training that several engines made: Input.Twins
)

// Figure is a figure that has a name.
type Figure struct {
	Title string
	Needs Needs
	Grid  string // the grid file whose trials the figure is drawn from, where it needs Rows
	Draw  func(in *Input) (*figure.Figure, error)
}

// all names every figure; figures of the paper have the paper's number. To add one, write a file and add a line.
var all = map[string]Figure{
	"1": {Title: "Focal loss against the probability of the true class", Draw: focalLoss},
	"2": {Title: "AP against time an image, as published", Draw: speed},
	"3": {Title: "The network, from its own graph", Needs: Network, Draw: architecture},
	"4": {Title: "Cumulative loss of foreground and of background", Needs: Trial, Draw: concentratedLoss},
	"5": {Title: "Cross entropy, FL and FL* over x_t", Draw: variantLosses},
	"6": {Title: "Derivatives of cross entropy, FL and FL*", Draw: variantGradients},
	"7": {Title: "FL* by γ and β: which are as good as focal loss", Needs: Rows, Grid: "fl_star", Draw: effective},

	"alpha_gamma": {Title: "AP over α and γ, as a heat map", Needs: Rows, Grid: "alpha_gamma", Draw: alphaGamma},
	"engines":     {Title: "One training on several engines, step by step", Needs: Engines, Draw: engines},
	"imbalance":   {Title: "Gap between focal loss and cross entropy by imbalance", Needs: Rows, Grid: "imbalance", Draw: imbalance},
	"loss_lr":     {Title: "AP against the learning rate, a line a loss", Needs: Rows, Grid: "loss_lr", Draw: rates},
}

// Input holds what figures are drawn from; a figure reads the field that its Needs name.
type Input struct {
	Grid    *Grid           // where it needs Rows
	Network *model.Layout   // where it needs Network,
	Profile string          // and its profile
	Losses  *Concentrations // where it needs Trial
	Twins   *Twins          // where it needs Engines
}

// Names lists the figures, the paper's first.
func Names() []string { return slices.Sorted(maps.Keys(all)) }

// Of returns the figure of a name, and whether there is one.
func Of(name string) (Figure, bool) {
	f, ok := all[name]
	return f, ok
}
