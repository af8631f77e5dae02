package gorgonia

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Profile adds up the time that the static plan and the update spend in each kind
// of op, over all sessions of an engine. It belongs to the goroutine that runs them.
type Profile struct {
	now func() time.Time
	ops map[string]*OpTime
}

// OpTime is what one kind of op took.
type OpTime struct {
	Op    string // such as "conv 3x3/1 to weights": kernel size and stride
	Calls int
	Time  time.Duration
	FLOPs float64 // two a multiply-add; 0 where memory, not arithmetic, is the work
}

// NewProfile returns an empty profile that reads the time from now.
func NewProfile(now func() time.Time) *Profile {
	return &Profile{now: now, ops: map[string]*OpTime{}}
}

// Reset forgets what was added up so far.
func (p *Profile) Reset() { clear(p.ops) }

// Ops lists the kinds, the longest first.
func (p *Profile) Ops() []OpTime {
	out := make([]OpTime, 0, len(p.ops))
	for _, kind := range slices.Sorted(maps.Keys(p.ops)) {
		out = append(out, *p.ops[kind])
	}
	slices.SortStableFunc(out, func(a, b OpTime) int { return cmp.Compare(b.Time, a.Time) })
	return out
}

// add counts one run of kind that began at start, and returns the time now.
func (p *Profile) add(kind string, flops float64, start time.Time) time.Time {
	end := p.now()
	o := p.ops[kind]
	if o == nil {
		o = &OpTime{Op: kind}
		p.ops[kind] = o
	}
	o.Calls++
	o.Time += end.Sub(start)
	o.FLOPs += flops
	return end
}

// kindOf is an op's name without its settings.
func kindOf(name string) string {
	words := strings.Fields(name)
	for i, w := range words {
		if i > 0 && (strings.ContainsAny(w, "=[") || strings.Trim(w, "sp0123456789") == "") {
			words = words[:i]
			break
		}
	}
	return strings.Join(words, " ")
}
