package experiments

import (
	"fmt"
	"strconv"

	"focalgrid/results"
)

// KeyOf returns a function that computes what a recorded trial's key must be, from its
// settings, seed, data, first weights, engine and numerics. The function's error says why that
// can't be told: the trial was recorded by a version with other settings or numerics.
func KeyOf() results.KeyOf {
	canonical := map[string][]byte{} // by recorded settings, which the seeds of a row share
	return func(t *results.Trial) (string, error) {
		if t.Kind != results.KindTrain {
			return "", fmt.Errorf("it is a %s", t.Kind)
		}
		if t.Numerics != strconv.Itoa(Numerics) {
			return "", fmt.Errorf("it has numerics %s, this program %d", t.Numerics, Numerics)
		}
		text, ok := canonical[t.Config]
		if !ok {
			cfg, err := ParseResolved("its settings", []byte(t.Config))
			if err != nil {
				return "", err
			}
			text = Canonical(&cfg)
			canonical[t.Config] = text
		}
		return Identity{Config: text, Seed: t.Seed, Data: t.Dataset, Init: t.Init, Engine: t.Engine, Numerics: Numerics}.Key(), nil
	}
}
