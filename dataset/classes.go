package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"focalgrid/coco"
)

// ErrClasses is returned by Relabel where a split shows objects that are of no class
// of the detector.
var ErrClasses = errors.New("the classes do not fit")

// Relabel gives the set the labels of a detector with these classes: Classes becomes
// classes, and each object has the label of its category there. The note describes
// how the split's own list differs; it is empty where the two are the same.
//
// Categories are matched by id; or all of them by name, where an id is unknown to the
// detector or belongs to another name of its list, and names are unique. A category
// without objects counts for nothing, and a class that the split lacks is no object's.
// ErrClasses with both lists is returned where neither will do; the set is then as it was.
func (s *Set) Relabel(classes []Class) (note string, err error) {
	own := s.ownClasses()
	objects := map[int64]int{} // by category id of the file, what is left out included
	if s.truth != nil {
		for _, a := range s.truth.Annotations {
			objects[a.CategoryID]++
		}
	}
	label, note, ok := byID(own, objects, classes)
	if !ok {
		label, note, ok = byName(own, objects, classes)
	}
	if !ok {
		return "", fmt.Errorf("%s: %w, neither by id nor by name: the split lists %s; the detector's classes are %s",
			annotationsPath(s.Dir, s.Split), ErrClasses, list(own), list(classes))
	}
	ids := make([]int64, len(classes))
	known := map[int32]bool{}
	free := int64(0) // an id of neither list
	for _, c := range slices.Concat(own, classes) {
		free = max(free, c.ID+1)
	}
	for _, c := range own {
		if l, ok := label[c.ID]; ok {
			ids[l], known[l] = c.ID, true
		}
	}
	for l, c := range classes {
		if known[int32(l)] {
			continue
		}
		ids[l] = c.ID
		if slices.ContainsFunc(own, func(o Class) bool { return o.ID == c.ID }) {
			ids[l] = free // its own id stands for something else in this file
			free++
		}
	}
	images := slices.Clone(s.Images)
	for i := range images {
		im := &images[i]
		im.Objects = slices.Clone(im.Objects)
		for j := range im.Objects {
			im.Objects[j].Label = label[s.CategoryID(im.Objects[j].Label)]
		}
	}
	s.Images, s.Classes, s.ids = images, slices.Clone(classes), ids
	return note, nil
}

// CategoryID is the id that the split's own file uses for a label. A class that the
// split lacks has the detector's id, or one of neither list where the file uses that
// for another class.
func (s *Set) CategoryID(label int32) int64 {
	if s.ids == nil {
		return s.Classes[label].ID
	}
	return s.ids[label]
}

// ownClasses are those that the split's file lists, by ascending id.
func (s *Set) ownClasses() []Class {
	if s.truth == nil {
		return s.Classes
	}
	return classesOf(s.truth)
}

// classesOf lists the categories of a file by ascending id.
func classesOf(d *coco.Dataset) []Class {
	var classes []Class
	for _, c := range d.Categories {
		classes = append(classes, Class{c.ID, c.Name})
	}
	slices.SortStableFunc(classes, func(a, b Class) int { return cmp.Compare(a.ID, b.ID) })
	return classes
}

// byID matches categories to classes of the same id; not ok where one with objects has
// no such class, or one that goes by another's name.
func byID(own []Class, objects map[int64]int, classes []Class) (label map[int64]int32, note string, ok bool) {
	of, named := map[int64]int32{}, map[string]int32{}
	for l, c := range classes {
		of[c.ID], named[c.Name] = int32(l), int32(l)
	}
	label = map[int64]int32{}
	var renamed, unused []Class
	for _, c := range own {
		l, known := of[c.ID]
		other, taken := named[c.Name]
		fits := known && (classes[l].Name == c.Name || !taken || other == l)
		switch {
		case !fits && objects[c.ID] > 0:
			return nil, "", false
		case !fits:
			unused = append(unused, c)
			continue
		case classes[l].Name != c.Name:
			renamed = append(renamed, c)
		}
		label[c.ID] = l
	}
	return label, differences("", renamed, unused, missing(classes, label)), true
}

// byName matches categories to classes of the same name; not ok where a name with
// objects is empty, unknown or not the only one of its kind in a list.
func byName(own []Class, objects map[int64]int, classes []Class) (label map[int64]int32, note string, ok bool) {
	of, times := map[string]int32{}, map[string]int{}
	for l, c := range classes {
		of[c.Name] = int32(l)
		times[c.Name]++
	}
	here, used := map[string]int{}, map[string]int{}
	for _, c := range own {
		here[c.Name]++
		if objects[c.ID] > 0 {
			used[c.Name]++
		}
	}
	label = map[int64]int32{}
	var unused []Class
	for _, c := range own {
		l, known := of[c.Name]
		unique := known && c.Name != "" && times[c.Name] == 1
		switch {
		case objects[c.ID] > 0 && unique && used[c.Name] == 1:
			label[c.ID] = l
		case objects[c.ID] > 0:
			return nil, "", false
		case unique && here[c.Name] == 1:
			label[c.ID] = l
		default:
			unused = append(unused, c)
		}
	}
	return label, differences("matched to the detector's classes by name, as ids differ", nil, unused, missing(classes, label)), true
}

// missing are the classes that no category was matched to.
func missing(classes []Class, label map[int64]int32) []Class {
	found := map[int32]bool{}
	for _, l := range label {
		found[l] = true
	}
	var out []Class
	for l, c := range classes {
		if !found[int32(l)] {
			out = append(out, c)
		}
	}
	return out
}

// differences describes how two lists differ.
func differences(how string, renamed, unused, missing []Class) string {
	var parts []string
	if how != "" {
		parts = append(parts, how)
	}
	for _, d := range []struct {
		what    string
		classes []Class
	}{
		{"under another name in the detector's list", renamed},
		{"without objects and unknown to the detector", unused},
		{"of the detector but not in this split", missing},
	} {
		if len(d.classes) > 0 {
			parts = append(parts, d.what+": "+list(d.classes))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "categories: " + strings.Join(parts, "; ")
}

// list writes classes as `1 "person", 2 "bicycle"`.
func list(classes []Class) string {
	if len(classes) == 0 {
		return "none"
	}
	texts := make([]string, len(classes))
	for i, c := range classes {
		texts[i] = fmt.Sprintf("%d %q", c.ID, c.Name)
	}
	return strings.Join(texts, ", ")
}
