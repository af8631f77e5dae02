package record

import "fmt"

// KeyOf computes a trial's key from its settings, seed, data and the rest of its identity. The
// error explains why it cannot, as where the program does not know the trial's settings; such a
// trial is accepted under the key that it has. The caller provides the function, as this package
// does not know what settings mean; with nil no key is compared.
type KeyOf func(*Trial) (string, error)

// Check compares a trial's key with the key of its settings, seed and data. known is false if that key cannot be
// computed.
func (k KeyOf) Check(t *Trial) (known bool, err error) {
	if k == nil {
		return false, nil
	}
	key, err := k(t)
	if err != nil {
		return false, nil
	}
	if key != t.Key {
		return true, fmt.Errorf("trial %s: its settings, seed and data have the key %s: they were altered or damaged", Short(t.Key), Short(key))
	}
	return true, nil
}
