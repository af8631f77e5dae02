package box

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestCoderAgainstTorchvision(t *testing.T) {
	var ref struct {
		Clip                                  float64
		Anchors, GT, Encoded, Deltas, Decoded array
	}
	readRef(t, "box_coder", &ref)
	if MaxLogSize != math.Log(1000./16) || ref.Clip != MaxLogSize {
		t.Errorf("MaxLogSize %v, log(1000/16) %v, reference %v", MaxLogSize, math.Log(1000./16), ref.Clip)
	}
	anchors, gt := boxesOf[float64](ref.Anchors), boxesOf[float64](ref.GT)
	encoded, deltas, decoded := boxesOf[float64](ref.Encoded), boxesOf[float64](ref.Deltas), boxesOf[float64](ref.Decoded)
	for i := range anchors {
		for j := range 4 {
			if got := (Deltas[float64]{}).Encode(anchors[i], gt[i])[j]; !near(got, encoded[i][j]) {
				t.Errorf("encode %d, %d: %.12g, want %.12g", i, j, got, encoded[i][j])
			}
			if got := (Deltas[float64]{}).Decode(anchors[i], deltas[i][:])[j]; !near(got, decoded[i][j]) {
				t.Errorf("decode %d, %d: %.12g, want %.12g", i, j, got, decoded[i][j])
			}
		}
	}
}

// Decode undoes Encode, and an anchor's own deltas are 0.
func TestCoderIdentities(t *testing.T) {
	var c Deltas[float64]
	rapid.Check(t, func(t *rapid.T) {
		anchor, gt := drawBox(t, "anchor"), drawBox(t, "gt")
		if e := c.Encode(anchor, anchor); e != [4]float64{} {
			t.Fatalf("encode(%v, itself) = %v", anchor, e)
		}
		delta := c.Encode(anchor, gt)
		got := c.Decode(anchor, delta[:])
		for j := range got {
			if delta[2] < MaxLogSize && delta[3] < MaxLogSize && math.Abs(got[j]-gt[j]) > 1e-9 {
				t.Fatalf("decode(encode(%v)) = %v at %v", gt, got, anchor)
			}
		}
	})
}

// TestDistancesAgainstReference holds Distances and the targets of Distribution to mmdet's.
func TestDistancesAgainstReference(t *testing.T) {
	var ref struct {
		Points, Boxes array
		Encoded       array `json:"encode_f64"`
		Clamped       array `json:"encode_16_f64"` // to [0, 15.9]
		Decoded       array `json:"decode_f64"`
	}
	readRef(t, "ltrb", &ref)
	points, boxes := ref.Points.flat(), boxesOf[float64](ref.Boxes)
	encoded, clamped, decoded := boxesOf[float64](ref.Encoded), boxesOf[float64](ref.Clamped), boxesOf[float64](ref.Decoded)
	for i, b := range boxes {
		x, y := points[2*i], points[2*i+1]
		unit := [4]float64{x - .5, y - .5, x + .5, y + .5}
		stride := [4]float64{x - 4, y - 4, x + 4, y + 4}
		for j := range 4 {
			for _, c := range []struct {
				name string
				got  float64
				want float64
			}{
				{"distance in pixels", Distances[float64]{}.Encode(stride, b)[j], encoded[i][j]},
				{"distance in sides", Distances[float64]{InSides: true}.Encode(stride, b)[j], encoded[i][j] / 8},
				{"clamped distance", Distribution[float64]{Bins: 17}.Encode(unit, b)[j], clamped[i][j]},
				{"box of pixels", Distances[float64]{}.Decode(stride, encoded[i][:])[j], decoded[i][j]},
				{"box of sides", Distances[float64]{InSides: true}.Decode(unit, encoded[i][:])[j], decoded[i][j]},
			} {
				if !near(c.got, c.want) {
					t.Errorf("%s %d, %d: %.12g, want %.12g", c.name, i, j, c.got, c.want)
				}
			}
		}
	}
	if len(boxes) != 8 {
		t.Errorf("%d boxes, want 8", len(boxes))
	}
}

// TestDistributionAgainstReference holds the means of distributions to mmdet's.
func TestDistributionAgainstReference(t *testing.T) {
	var ref struct {
		Cases []struct {
			Name string
			X    array
			Mean array `json:"integral17_f64"`
		}
	}
	readRef(t, "integral", &ref)
	c := Distribution[float64]{Bins: 17}
	for _, r := range ref.Cases {
		x, mean := r.X.flat(), r.Mean.flat()
		for i := 0; i < len(mean); i += 4 { // four distances make a box
			b := c.Decode([4]float64{-.5, -.5, .5, .5}, x[i*c.Bins:(i+4)*c.Bins])
			for j, got := range [4]float64{-b[0], -b[1], b[2], b[3]} {
				if !near(got, mean[i+j]) {
					t.Errorf("%s, distance %d: %.12g, want %.12g", r.Name, i+j, got, mean[i+j])
				}
			}
		}
	}
	if len(ref.Cases) != 4 {
		t.Errorf("%d cases, want 4", len(ref.Cases))
	}
}

// TestDistancesUndone: Decode undoes Encode, whatever the unit.
func TestDistancesUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prior, gt := drawBox(t, "prior"), drawBox(t, "gt")
		for _, c := range []Coder[float64]{Distances[float64]{}, Distances[float64]{InSides: true}} {
			d := c.Encode(prior, gt)
			for j, v := range c.Decode(prior, d[:]) {
				if math.Abs(v-gt[j]) > 1e-9 {
					t.Fatalf("%+v: decode(encode(%v)) = %v at %v", c, gt, v, prior)
				}
			}
		}
	})
}
