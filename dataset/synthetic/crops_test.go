package synthetic

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestGoldenCrops(t *testing.T) {
	g := NewCrops(smallCrops())
	h := sha256.New()
	for i := range 20 {
		pix, label := g.Crop(i)
		h.Write(append(pix, byte(label)))
	}
	if got, want := fmt.Sprintf("%x", h.Sum(nil)[:8]), "f275f73451e2966f"; got != want {
		t.Errorf("first twenty crops: %s, want %s", got, want)
	}
}

func BenchmarkCrop(b *testing.B) {
	g := NewCrops(smallCrops())
	for i := 0; b.Loop(); i++ {
		g.Crop(i)
	}
}
