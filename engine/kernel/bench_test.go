package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// peak measures what one core does at most right now, in GFLOP/s.
func peak(level Level) float64 {
	best := 0.0
	for range 5 {
		t := time.Now()
		f := PeakLoop(level, 200_000)
		best = max(best, f/time.Since(t).Seconds()/1e9)
	}
	return best
}

func BenchmarkPeak(b *testing.B) {
	for _, l := range Levels() {
		b.Run(string(l), func(b *testing.B) {
			for b.Loop() {
				PeakLoop(l, 10_000)
			}
			b.ReportMetric(peak(l), "GFLOP/s")
		})
	}
}

// miniConvs are the shapes of the mini profile's RetinaNet, batch 16, and how
// often each comes in one step.
var miniConvs = []struct {
	name  string
	times int
	Conv
}{
	{"stem", 1, Conv{16, 3, 128, 128, 16, 7, 2, 3}},
	{"layer1", 4, Conv{16, 16, 32, 32, 16, 3, 1, 1}},
	{"layer2.down", 1, Conv{16, 16, 32, 32, 32, 3, 2, 1}},
	{"layer2.skip", 1, Conv{16, 16, 32, 32, 32, 1, 2, 0}},
	{"layer2", 3, Conv{16, 32, 16, 16, 32, 3, 1, 1}},
	{"layer3.down", 1, Conv{16, 32, 16, 16, 64, 3, 2, 1}},
	{"layer3.skip", 1, Conv{16, 32, 16, 16, 64, 1, 2, 0}},
	{"layer3", 3, Conv{16, 64, 8, 8, 64, 3, 1, 1}},
	{"layer4.down", 1, Conv{16, 64, 8, 8, 128, 3, 2, 1}},
	{"layer4.skip", 1, Conv{16, 64, 8, 8, 128, 1, 2, 0}},
	{"layer4", 3, Conv{16, 128, 4, 4, 128, 3, 1, 1}},
	{"lateral3", 1, Conv{16, 32, 16, 16, 64, 1, 1, 0}},
	{"lateral4", 1, Conv{16, 64, 8, 8, 64, 1, 1, 0}},
	{"lateral5", 1, Conv{16, 128, 4, 4, 64, 1, 1, 0}},
	{"P6", 1, Conv{16, 128, 4, 4, 64, 3, 2, 1}},
	{"P7", 1, Conv{16, 64, 2, 2, 64, 3, 2, 1}},
	{"tower.P3", 9, Conv{16, 64, 16, 16, 64, 3, 1, 1}},
	{"tower.P4", 9, Conv{16, 64, 8, 8, 64, 3, 1, 1}},
	{"tower.P5", 9, Conv{16, 64, 4, 4, 64, 3, 1, 1}},
	{"tower.P6", 8, Conv{16, 64, 2, 2, 64, 3, 1, 1}},
	{"tower.P7", 8, Conv{16, 64, 1, 1, 64, 3, 1, 1}},
	{"out.P3", 2, Conv{16, 64, 16, 16, 36, 3, 1, 1}},
	{"out.P4", 2, Conv{16, 64, 8, 8, 36, 3, 1, 1}},
	{"out.P5", 2, Conv{16, 64, 4, 4, 36, 3, 1, 1}},
	{"out.P6", 2, Conv{16, 64, 2, 2, 36, 3, 1, 1}},
	{"out.P7", 2, Conv{16, 64, 1, 1, 36, 3, 1, 1}},
}

var bigConvs = []struct {
	name  string
	times int
	Conv
}{
	{"R18.layer1", 1, Conv{2, 64, 32, 32, 64, 3, 1, 1}},
	{"R18.layer2", 1, Conv{2, 128, 16, 16, 128, 3, 1, 1}},
	{"R18.layer3", 1, Conv{2, 256, 8, 8, 256, 3, 1, 1}},
	{"R18.layer4", 1, Conv{2, 512, 4, 4, 512, 3, 1, 1}},
	{"head.P3", 1, Conv{2, 256, 16, 16, 256, 3, 1, 1}},
	{"head.P3at256", 1, Conv{2, 256, 32, 32, 256, 3, 1, 1}},
	{"R50.layer2", 1, Conv{2, 512, 16, 16, 128, 1, 1, 0}},
	{"stem", 1, Conv{2, 3, 128, 128, 64, 7, 2, 3}},
}

type convBench struct {
	on           *Pool
	layer        *Layer
	c            Conv
	x, w, dy     []float32
	y, dx, dw, b []float32
}

func newConvBench(c Conv) *convBench {
	r := rand.New(rand.NewPCG(5, 6))
	return &convBench{
		c: c, x: randoms(r, c.In()), w: randoms(r, c.Weights()), dy: randoms(r, c.Out()),
		y: make([]float32, c.Out()), dx: make([]float32, c.In()), dw: make([]float32, c.Weights()), b: make([]float32, c.K),
	}
}

func (v *convBench) pass(p *Pool, i int) {
	if v.on != p {
		v.on, v.layer = p, NewLayer(p, v.c)
	}
	switch i {
	case 0:
		v.layer.Forward(v.y, v.x, v.w, v.b, false)
	case 1:
		v.layer.GradInput(v.dx, v.dy, v.w)
	case 2:
		v.layer.GradWeights(v.dw, v.x, v.dy)
	}
}

var passes = []string{"forward", "gradinput", "gradweights"}

// BenchmarkConv counts the multiply-adds of the definition: with Winograd's
// algorithm, which needs fewer, the rate may be above the peak.
func BenchmarkConv(b *testing.B) {
	for _, level := range Levels() {
		if level == Plain {
			continue
		}
		for _, threads := range []int{1, 2} {
			p, _ := NewPoolLevel(threads, level)
			defer p.Close()
			for _, m := range append(miniConvs, bigConvs...) {
				v := newConvBench(m.Conv)
				for i, pass := range passes {
					b.Run(fmt.Sprintf("%s/%s/%s/threads=%d", m.name, pass, level, threads), func(b *testing.B) {
						top := peak(level)
						b.ReportAllocs()
						for b.Loop() {
							v.pass(p, i)
						}
						rate := 2 * float64(m.MACs()) * float64(b.N) / b.Elapsed().Seconds() / 1e9
						b.ReportMetric(rate, "GFLOP/s")
						b.ReportMetric(100*rate/top/float64(threads), "%peak")
					})
				}
			}
		}
	}
}

// BenchmarkMiniConvs runs every convolution of a training step of the mini
// profile: forward, to inputs (but not to the image) and to weights.
func BenchmarkMiniConvs(b *testing.B) {
	var all []*convBench
	macs := 0
	for _, m := range miniConvs {
		all = append(all, newConvBench(m.Conv))
		macs += m.times * 3 * m.MACs()
	}
	macs -= miniConvs[0].MACs()
	for _, level := range Levels() {
		if level == Plain {
			continue
		}
		for _, threads := range []int{1, 2} {
			p, _ := NewPoolLevel(threads, level)
			defer p.Close()
			b.Run(fmt.Sprintf("%s/threads=%d", level, threads), func(b *testing.B) {
				top := peak(level)
				b.ReportAllocs()
				for b.Loop() {
					for pass := range passes {
						for i, m := range miniConvs {
							if pass == 1 && i == 0 {
								continue
							}
							for range m.times {
								all[i].pass(p, pass)
							}
						}
					}
				}
				rate := 2 * float64(macs) * float64(b.N) / b.Elapsed().Seconds() / 1e9
				b.ReportMetric(rate, "GFLOP/s")
				b.ReportMetric(100*rate/top/float64(threads), "%peak")
			})
		}
	}
}

// BenchmarkMaps times the kernels that are bound by memory, on the shapes of the
// mini profile. The rate counts what must be read and written at least.
func BenchmarkMaps(b *testing.B) {
	stem, layer1, tower, deep := Shape{16, 16, 64, 64}, Shape{16, 16, 32, 32}, Shape{16, 64, 16, 16}, Shape{16, 64, 2, 2}
	r := rand.New(rand.NewPCG(7, 8))
	x, dy, y := randoms(r, stem.Len()), randoms(r, stem.Len()), make([]float32, stem.Len())
	small := make([]float32, 2048)
	for i := range small {
		small[i] = 1
	}
	sums := make([]float32, 64)
	idx := make([]int32, stem.Len())
	q := Pooling{3, 2, 1}
	f := Focal{Rows: 16 * 3069, Classes: 4, Gamma: 2, AlphaPos: .25, AlphaNeg: .75}
	label, weight := make([]float32, f.Rows), make([]float32, f.Rows)
	for i := range label {
		label[i], weight[i] = -1, 1
	}
	box := f.Rows * 4
	kernels := []struct {
		name   string
		passes float64 // elements moved, in units of n
		n      int
		f      func(p *Pool)
	}{
		{"add", 3, layer1.Len(), func(p *Pool) { Add(p, y[:layer1.Len()], x, dy) }},
		{"relugrad", 3, layer1.Len(), func(p *Pool) { ReLUGrad(p, y[:layer1.Len()], dy, x) }},
		{"bn.stats/stem", 1, stem.Len(), func(p *Pool) { BatchNormStats(p, sums, sums[16:], x, stem) }},
		{"bn.stats/layer1", 1, layer1.Len(), func(p *Pool) { BatchNormStats(p, sums, sums[16:], x, layer1) }},
		{"bn.apply/stem", 2, stem.Len(), func(p *Pool) { BatchNormApply(p, y, x, small, small, small, small, nil, true, stem) }},
		{"bn.apply+residual/layer1", 3, layer1.Len(), func(p *Pool) { BatchNormApply(p, y, x, small, small, small, small, dy, true, layer1) }},
		{"bn.gradsums/stem", 2, stem.Len(), func(p *Pool) { BatchNormGradSums(p, sums, sums[16:], dy, x, small, small, stem) }},
		{"bn.gradinput/stem", 3, stem.Len(), func(p *Pool) { BatchNormGradInput(p, y, dy, x, small, small, small, small, small, stem) }},
		{"gn.stats/P3", 1, tower.Len(), func(p *Pool) { GroupNormStats(p, y, y[1024:], x, 8, tower) }},
		{"gn.apply/P3", 2, tower.Len(), func(p *Pool) { GroupNormApply(p, y, x, small, small, small, small, true, 8, tower) }},
		{"gn.grad/P3", 4, tower.Len(), func(p *Pool) { GroupNormGrad(p, y, sums, sums, dy, x, small, small, small, 8, tower) }},
		{"gn.stats/P6", 1, deep.Len(), func(p *Pool) { GroupNormStats(p, y, y[1024:], x, 8, deep) }},
		{"gn.apply/P6", 2, deep.Len(), func(p *Pool) { GroupNormApply(p, y, x, small, small, small, small, true, 8, deep) }},
		{"gn.grad/P6", 4, deep.Len(), func(p *Pool) { GroupNormGrad(p, y, sums, sums, dy, x, small, small, small, 8, deep) }},
		{"gradbias/P3", 1, tower.Len(), func(p *Pool) { GradBias(p, sums, dy, tower) }},
		{"maxpool", 1.5, stem.Len(), func(p *Pool) { q.Max(p, y, idx, x, stem) }},
		{"maxpoolgrad", 1.5, stem.Len(), func(p *Pool) { q.MaxGrad(p, y, dy, idx, stem) }},
		{"upsample", 3, tower.Len(), func(p *Pool) { UpsampleNearest(p, y, x, dy, 16, 16, Shape{16, 64, 8, 8}) }},
		{"upsamplegrad", 1, tower.Len(), func(p *Pool) { UpsampleGrad(p, y, dy, 16, 16, Shape{16, 64, 8, 8}) }},
		{"focal", 1, box, func(p *Pool) { f.Sum(p, x, label, weight) }},
		{"focalgrad", 2, box, func(p *Pool) { f.Grad(p, y, x, label, weight, 1) }},
		{"smoothl1", 2, box, func(p *Pool) { SmoothL1{f.Rows, 4, .11}.Sum(p, x, dy, weight) }},
		{"smoothl1grad", 3, box, func(p *Pool) { SmoothL1{f.Rows, 4, .11}.Grad(p, y, x, dy, weight, 1) }},
		{"sgd", 5, stem.Len(), func(p *Pool) { SGD(p, y, x, dy, 1e-9, .9, 1e-4) }},
		{"sumsquares", 1, stem.Len(), func(p *Pool) { SumSquares(p, dy) }},
	}
	for _, threads := range []int{1, 2} {
		p := NewPool(threads)
		defer p.Close()
		for _, k := range kernels {
			k.f(p)
			b.Run(fmt.Sprintf("%s/threads=%d", k.name, threads), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(4 * k.passes * float64(k.n)))
				for b.Loop() {
					k.f(p)
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(k.n)*1e9, "ns/element")
			})
		}
	}
}
