package detector

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
)

// Drawer returns the random sources of one seed: a pure function of purpose
// ("init/…", "shuffle", "flip") and index, so that nothing has to be saved and
// no order of work can matter. Trials of one seed that differ in their loss
// see the same initial weights, images and flips.
func Drawer(seed uint64) func(purpose string, index uint64) *rand.Rand {
	return func(purpose string, index uint64) *rand.Rand {
		h := fnv.New64a()
		io.WriteString(h, purpose)
		return rand.New(rand.NewPCG(seed, h.Sum64()^index*0x9e3779b97f4a7c15))
	}
}
