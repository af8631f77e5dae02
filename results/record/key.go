package record

import "fmt"

// KeyOf computes the key that the settings, seed, data and the rest of a trial's
// identity give. The error says why it can't be told, as where a trial has settings
// that the program does not know; such a trial is taken under the key it has. What
// settings mean is not known here, so that the caller hands it in; nil: nothing is
// compared.
type KeyOf func(*Trial) (string, error)

// Check compares a trial's key with what it is a hash of. known is false if that can't
// be told.
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
