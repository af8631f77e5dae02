package engine

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Profile adds up the time that the sessions of an engine spend in each kind of op.
// It belongs to the goroutine that runs them.
type Profile struct {
	Now func() time.Time
	ops map[string]*OpTime
}

// OpTime is the time of one kind of op.
type OpTime struct {
	Op    string // such as "conv 3x3/1 to weights": kernel size and stride
	Calls int
	Time  time.Duration
	FLOPs float64 // two a multiply-add; 0 where memory, not arithmetic, is the work
}

// NewProfile returns an empty profile that reads the time from now.
func NewProfile(now func() time.Time) *Profile {
	return &Profile{Now: now, ops: map[string]*OpTime{}}
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

// Add counts one run of kind that began at start, and returns the time now.
func (p *Profile) Add(kind string, flops float64, start time.Time) time.Time {
	end := p.Now()
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
