// Package model builds the networks of the harness as engine graphs: ResNet-18
// to 152, the feature pyramid P3..P7, RetinaNet's two heads shared by all
// levels, and the anchors that the heads' outputs belong to. The same backbone
// with a classifier on top is what pretraining trains.
//
// Parameters and running statistics bear torchvision's names, so weights move
// both ways without a table of translations. Convolutions have their stride in
// the 3×3 of a bottleneck, as in torchvision, not in the 1×1 as in the first
// release of ResNet.
//
// Boxes are x1,y1,x2,y2 in pixels of the network's input. Which anchor learns
// what is package sampler's, losses are package loss's, and pixels to tensors
// are package dataset's business.
package model
