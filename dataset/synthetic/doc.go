// Package synthetic draws the images that stand in where no data is: shapes on a cloudy
// background, and crops of them to pretrain a backbone on.
//
//  1. NewConfig makes a Config of settings, and Identity hashes it: equal identities mean equal
//     pixels, boxes and labels, on every machine.
//  2. New prepares a Generator, which draws a Scene as a function of split and index alone: the
//     background (clouds, then lines and blobs), distractors, objects, and noise.
//  3. NewCrops prepares Crops in the same way, which draw one object in the middle of each.
//
// A scene's boxes are x1, y1, x2, y2 in whole pixels, far edges exclusive. Everything is drawn in
// integers (fixed.go), so that no platform rounds otherwise. Nothing is read or written: package
// dataset fills folders with scenes.
package synthetic
