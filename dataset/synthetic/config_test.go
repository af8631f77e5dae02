package synthetic

import (
	"reflect"
	"testing"
)

// small is the smallest set worth training on.
func small() Config {
	return Config{
		Pixels: 128, Classes: 4, Train: 2000, Tune: 300, Val: 300,
		Objects: 2.5, Empty: 0.1, Distractors: 3, MinSize: 0.12, MaxSize: 0.6, Noise: 4, Clutter: 0.5,
	}
}

// smallCrops are the crops that go with it.
func smallCrops() CropConfig { return CropConfig{Pixels: 64, Classes: 8, Noise: 4, Clutter: 0.5} }

// Every setting is part of the identity.
func TestIdentityCoversEverySetting(t *testing.T) {
	changed := func(v reflect.Value, i int) {
		switch f := v.Field(i); f.Kind() {
		case reflect.Int:
			f.SetInt(f.Int() + 1)
		case reflect.Uint64:
			f.SetUint(f.Uint() + 1)
		case reflect.Float64:
			f.SetFloat(f.Float() + 0.001)
		default:
			t.Fatalf("field of kind %s", f.Kind())
		}
	}
	for i := range reflect.TypeFor[Config]().NumField() {
		c := small()
		changed(reflect.ValueOf(&c).Elem(), i)
		if Identity(c) == Identity(small()) {
			t.Errorf("Config.%s does not change the identity", reflect.TypeFor[Config]().Field(i).Name)
		}
	}
	for i := range reflect.TypeFor[CropConfig]().NumField() {
		c := smallCrops()
		changed(reflect.ValueOf(&c).Elem(), i)
		if CropIdentity(c) == CropIdentity(smallCrops()) {
			t.Errorf("CropConfig.%s does not change the identity", reflect.TypeFor[CropConfig]().Field(i).Name)
		}
	}
}
