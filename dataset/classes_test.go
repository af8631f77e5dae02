package dataset

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/coco"
)

// split returns a set that lists categories and has one object of each of these ids.
func split(t *testing.T, list []coco.Category, objects ...int64) *Set {
	t.Helper()
	d := &coco.Dataset{Categories: list, Images: []coco.Image{{ID: 1, FileName: "a.png", Width: 40, Height: 40}}}
	for i, id := range objects {
		d.Annotations = append(d.Annotations, annotation(int64(i+1), 1, id, 1, 2, 10, 10))
	}
	s, err := newSet("dir", "val", d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRelabel(t *testing.T) {
	detector := []Class{{1, "cat"}, {2, "dog"}, {3, "bird"}}
	type categories = []coco.Category
	tests := []struct {
		name    string
		list    categories
		objects []int64
		labels  []int32 // of the objects; nil: refused
		ids     []int64 // by label
		note    string  // a part of it; empty: none at all
	}{
		{"the same list", categories{{ID: 1, Name: "cat"}, {ID: 2, Name: "dog"}, {ID: 3, Name: "bird"}}, []int64{3, 1}, []int32{2, 0}, []int64{1, 2, 3}, ""},
		{"in another order", categories{{ID: 3, Name: "bird"}, {ID: 1, Name: "cat"}, {ID: 2, Name: "dog"}}, []int64{3, 1}, []int32{2, 0}, []int64{1, 2, 3}, ""},
		{"one class fewer", categories{{ID: 2, Name: "dog"}, {ID: 3, Name: "bird"}}, []int64{2, 3}, []int32{1, 2}, []int64{1, 2, 3},
			`of the detector but not in this split: 1 "cat"`},
		{"one more, without objects", categories{{ID: 1, Name: "cat"}, {ID: 9, Name: "cow"}}, []int64{1}, []int32{0}, []int64{1, 2, 3},
			`without objects and unknown to the detector: 9 "cow"`},
		{"one more, with objects", categories{{ID: 1, Name: "cat"}, {ID: 9, Name: "cow"}}, []int64{9}, nil, nil, ""},
		{"another name", categories{{ID: 1, Name: "Katze"}, {ID: 2, Name: "dog"}, {ID: 3, Name: "bird"}}, []int64{1}, []int32{0}, []int64{1, 2, 3},
			`under another name in the detector's list: 1 "Katze"`},
		{"ids from 0", categories{{ID: 0, Name: "cat"}, {ID: 1, Name: "dog"}, {ID: 2, Name: "bird"}}, []int64{0, 1, 2}, []int32{0, 1, 2}, []int64{0, 1, 2}, "by name"},
		{"exchanged ids", categories{{ID: 2, Name: "cat"}, {ID: 1, Name: "dog"}, {ID: 3, Name: "bird"}}, []int64{2, 1}, []int32{0, 1}, []int64{2, 1, 3}, "by name"},
		{"exchanged and one fewer", categories{{ID: 3, Name: "cat"}, {ID: 1, Name: "dog"}}, []int64{3, 1}, []int32{0, 1}, []int64{3, 1, 4}, "by name"},
		{"exchanged, but one name unknown", categories{{ID: 2, Name: "cat"}, {ID: 1, Name: "dog"}, {ID: 3, Name: "Vogel"}}, []int64{2, 3}, nil, nil, ""},
		{"names twice", categories{{ID: 11, Name: "cat"}, {ID: 12, Name: "cat"}}, []int64{11, 12}, nil, nil, ""},
		{"a name twice, once without objects", categories{{ID: 11, Name: "cat"}, {ID: 12, Name: "cat"}}, []int64{12}, []int32{0}, []int64{12, 2, 3}, "by name"},
		{"no names", categories{{ID: 11}, {ID: 12}}, []int64{11}, nil, nil, ""},
		{"nothing at all", nil, nil, []int32{}, []int64{1, 2, 3}, "not in this split"},
		// The ids do not fit, but nothing shows it.
		{"exchanged ids without objects", categories{{ID: 2, Name: "cat"}, {ID: 1, Name: "dog"}, {ID: 3, Name: "bird"}}, []int64{3}, []int32{2}, []int64{4, 5, 3}, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := split(t, tt.list, tt.objects...)
			before := *s
			note, err := s.Relabel(detector)
			if tt.labels == nil {
				if !errors.Is(err, ErrClasses) {
					t.Fatalf("error %v, want ErrClasses", err)
				}
				for _, c := range slices.Concat(detector, s.Classes) {
					if !strings.Contains(err.Error(), list([]Class{c})) {
						t.Errorf("error %q does not list %d %q", err, c.ID, c.Name)
					}
				}
				if !reflect.DeepEqual(*s, before) {
					t.Error("the set is changed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(note, tt.note) || (note == "") != (tt.note == "") {
				t.Errorf("note %q, want one with %q", note, tt.note)
			}
			if !reflect.DeepEqual(s.Classes, detector) {
				t.Errorf("classes %v, want the detector's", s.Classes)
			}
			got := []int32{}
			for _, o := range s.Images[0].Objects {
				got = append(got, o.Label)
			}
			if !slices.Equal(got, tt.labels) {
				t.Errorf("labels %v, want %v", got, tt.labels)
			}
			var ids []int64
			for l := range detector {
				ids = append(ids, s.CategoryID(int32(l)))
			}
			if !slices.Equal(ids, tt.ids) {
				t.Errorf("ids %v, want %v", ids, tt.ids)
			}
			// No class may be taken for another one's objects.
			for l, id := range ids {
				if k := slices.Index(tt.objects, id); k >= 0 && tt.labels[k] != int32(l) {
					t.Errorf("class %d has the id %d, of which there are objects of class %d", l, id, tt.labels[k])
				}
			}
			// Once more changes nothing.
			images := s.Images
			if again, err := s.Relabel(detector); again != note || err != nil || !reflect.DeepEqual(images, s.Images) {
				t.Errorf("a second time: %q, %v", again, err)
			}
		})
	}
}
