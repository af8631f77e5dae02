// Package dataset turns images on disk into batches of network input.
//
//  1. A folder is in COCO's layout: annotations/instances_SPLIT.json beside a folder SPLIT of
//     JPEG or PNG files. Splits lists its splits, and Check everything that is wrong with it.
//     Where there is no data, Generate draws the synthetic set into a folder.
//  2. Open reads the annotations of a split as a Set. Relabel makes its labels those of a
//     detector that was trained on another split, and Stats counts what it holds.
//  3. Identify hashes the pictures of the Set. What was hashed is what is used: where their sums
//     are known, from Identify or because Generate drew them, a picture with other bytes is
//     refused.
//  4. A Transform resizes, pads and normalises pictures. Fit leaves out what a network could
//     not see of them.
//  5. A Loader decodes, resizes and mirrors pictures, and makes a Batch of them. Their order
//     depends on a draw and a step alone.
//
// In a Set a box is x1, y1, x2, y2 in pixels of the original image; in a Batch
// it is in pixels of the network input. Far edges are exclusive: a box as wide
// as the image ends at its width. Pixels of a batch are float32 in the order
// image, channel (red, green, blue), row, column. Pixels, sizes and boxes are as stored:
// EXIF orientation, by which a viewer turns a photograph, is ignored, and Check notes it.
//
// A picture's file is the business of package picture, the pixels of the synthetic set of
// package synthetic and the JSON of package coco. Which object an anchor learns is the business
// of package sampler, and scores of package metrics.
package dataset
