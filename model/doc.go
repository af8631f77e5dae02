// Package model builds the networks of the harness as engine graphs: ResNet-18
// to 152, the feature pyramid P3..P7, a head shared by all levels, and the
// priors (anchors) that the head's predictions belong to. A head is one file
// and one line in a map. The same backbone with a classifier on top is what
// pretraining trains.
//
// Parameters and running statistics bear torchvision's names, so weights move
// both ways without a table of translations. Convolutions have their stride in
// the 3×3 of a bottleneck, as in torchvision, not in the 1×1 as in the first
// release of ResNet.
//
// Boxes are x1,y1,x2,y2 in pixels of the network's input. Which prior learns
// what is package sampler's, losses are package loss's, and pixels to tensors
// are package dataset's business.
package model
