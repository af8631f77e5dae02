package kernel

import (
	"slices"
	"sync"
)

// A Layer is a convolution by one kernel of the maps of one level or of several, as
// of a head that the levels of a pyramid share. The tensors of the levels lie one
// after the other: x is [N, C, H, W] of the first level, then of the second, and
// so on. Levels differ in H and W alone.
//
// All levels run at once: the kernel is packed once for all of them, small maps
// share vectors and tasks with others, and no thread waits between them.
type Layer struct {
	pool        *Pool
	levels      []Conv
	x, y        []int // where each level begins, and the end
	forward     func() *pass
	gradInput   func() *pass
	gradWeights func() *weightsPass
}

// NewLayer makes a layer to run on p. What a pass needs to know of the shapes is
// worked out at its first call.
func NewLayer(p *Pool, levels ...Conv) *Layer {
	l := &Layer{pool: p, levels: levels, x: []int{0}, y: []int{0}}
	for i, c := range levels {
		l.x = append(l.x, l.x[i]+c.In())
		l.y = append(l.y, l.y[i]+c.Out())
	}
	l.forward = sync.OnceValue(func() *pass { return newPass(p, levels, l.x, l.y, false) })
	l.gradInput = sync.OnceValue(func() *pass { return newPass(p, levels, l.y, l.x, true) })
	l.gradWeights = sync.OnceValue(func() *weightsPass { return newWeightsPass(p, levels, l.x, l.y) })
	return l
}

// In and Out are the numbers of elements of x and y.
func (l *Layer) In() int  { return l.x[len(l.levels)] }
func (l *Layer) Out() int { return l.y[len(l.levels)] }

// Forward computes y. bias is [K] or nil; with relu, y is max(y, 0) at the end.
func (l *Layer) Forward(y, x, w, bias []float32, relu bool) {
	c := l.levels[0]
	need("Layer.Forward", "y", y, l.Out())
	need("Layer.Forward", "x", x, l.In())
	need("Layer.Forward", "w", w, c.Weights())
	if bias != nil {
		need("Layer.Forward", "bias", bias, c.K)
		bias = bias[:c.K]
	}
	floor := unbounded
	if relu {
		floor = 0
	}
	l.forward().run(l.pool, y, x, w, bias, floor)
}

// GradInput computes dx, the gradient to x for a given gradient dy to y.
func (l *Layer) GradInput(dx, dy, w []float32) {
	need("Layer.GradInput", "dx", dx, l.In())
	need("Layer.GradInput", "dy", dy, l.Out())
	need("Layer.GradInput", "w", w, l.levels[0].Weights())
	l.gradInput().run(l.pool, dx, dy, w, nil, unbounded)
}

// GradWeights computes dw, the gradient to w for a given gradient dy to y, summed
// over the levels.
func (l *Layer) GradWeights(dw, x, dy []float32) {
	need("Layer.GradWeights", "dw", dw, l.levels[0].Weights())
	need("Layer.GradWeights", "x", x, l.In())
	need("Layer.GradWeights", "dy", dy, l.Out())
	l.gradWeights().run(l.pool, dw, x, dy)
}

// GradBias computes db, [K], the gradient to the bias.
func (l *Layer) GradBias(db, dy []float32) {
	shapes := make([]Shape, len(l.levels))
	for i, c := range l.levels {
		shapes[i] = Shape{c.N, c.K, c.OutH(), c.OutW()}
	}
	GradBias(l.pool, db, dy, shapes...)
}

// A pass computes the destinations of all levels from their sources: forward, or
// the gradient to the input.
type pass struct {
	rows   int // output channels, up to a multiple of 8
	sweeps []*sweep
	forms  []int // sweep i takes the packed weights of sweep forms[i] <= i
	blocks []*winograd
}

// newPass plans a pass; levels' sources and destinations begin at src and dst.
func newPass(p *Pool, levels []Conv, src, dst []int, grad bool) *pass {
	k := &pass{rows: levels[0].K}
	if grad {
		k.rows = levels[0].C
	}
	k.rows = (k.rows + tileRows - 1) / tileRows * tileRows
	sides := p.winogradSides(levels)
	for i, c := range levels {
		if sides[i] > 0 {
			continue
		}
		s := newSweep(c, grad)
		s.src, s.dst = src[i], dst[i]
		k.forms = append(k.forms, len(k.sweeps))
		for j, o := range k.sweeps {
			if s.packsAs(o) {
				k.forms[len(k.sweeps)] = j
				break
			}
		}
		k.sweeps = append(k.sweeps, s)
	}
	for _, m := range []int{4, 2} {
		if slices.Contains(sides, m) {
			k.blocks = append(k.blocks, newWinograd(levels, sides, m, grad, src, dst))
		}
	}
	return k
}

// run computes dst from src. bias is nil or one value for each output channel.
func (k *pass) run(p *Pool, dst, src, w, bias []float32, floor float32) {
	b := p.scratch.take(k.rows)
	clear(b[copy(b, bias):])
	packed := make([][]float32, len(k.sweeps))
	var first, second, third jobs
	for i, s := range k.sweeps {
		if f := k.forms[i]; f < i {
			packed[i] = packed[f]
		} else {
			packed[i] = p.scratch.take(s.weights)
			first.add(packTasks(s.weights), func(task int) { s.pack(p, packed[i], w, task) })
		}
		second.add(s.tasks(), func(task int) { s.run(p, dst[s.dst:], src[s.src:], packed[i], b, floor, task) })
	}
	calls := make([]*winogradCall, len(k.blocks))
	for i, v := range k.blocks {
		calls[i] = v.call(p, dst, src, w, b, floor)
		calls[i].add(&first, &second, &third)
	}
	first.run(p)
	second.run(p)
	third.run(p)
	for i, v := range packed {
		if k.forms[i] == i {
			p.scratch.give(v)
		}
	}
	for _, c := range calls {
		c.end()
	}
	p.scratch.give(b)
}

// jobs are sets of tasks that are independent of each other.
type jobs []job

type job struct {
	tasks int
	do    func(task int)
}

func (j *jobs) add(tasks int, do func(task int)) { *j = append(*j, job{tasks, do}) }

// run runs all tasks as one region of the pool.
func (j jobs) run(p *Pool) {
	if len(j) == 1 {
		p.Run(j[0].tasks, j[0].do)
		return
	}
	total := 0
	for _, b := range j {
		total += b.tasks
	}
	p.Run(total, func(task int) {
		for _, b := range j {
			if task < b.tasks {
				b.do(task)
				return
			}
			task -= b.tasks
		}
	})
}

// A weightsPass computes the gradient to the weights.
type weightsPass struct {
	c      Conv // of the first level
	sweeps []*weightSweep
	blocks []*winogradWeights
}

func newWeightsPass(p *Pool, levels []Conv, x, y []int) *weightsPass {
	k := &weightsPass{c: levels[0]}
	sides := p.winogradWeightsSides(levels)
	for i, c := range levels {
		if sides[i] == 0 {
			s := planWeights(c.flat())
			s.x, s.y = x[i], y[i]
			k.sweeps = append(k.sweeps, s)
		}
	}
	for _, m := range []int{4, 2} {
		if slices.Contains(sides, m) {
			k.blocks = append(k.blocks, newWinogradWeights(levels, sides, m, x, y))
		}
	}
	return k
}

func (k *weightsPass) run(p *Pool, dw, x, dy []float32) {
	var first, second, third jobs
	var sums [][]float32 // each is one addend of all weights
	var lent [][]float32
	size := k.c.Weights()
	direct := len(k.blocks) == 0 && len(k.sweeps) == 1 && k.sweeps[0].parts == 1
	for _, s := range k.sweeps {
		y := dy[s.y:]
		if !s.inPlace {
			y = p.scratch.take(s.gradSize())
			lent = append(lent, y)
			first.add(s.lay.groups, func(task int) { s.copyGrad(p, y, dy[s.y:], task) })
		}
		sum := dw
		if !direct {
			sum = p.scratch.take(s.parts * size)
			lent = append(lent, sum)
			for i := range s.parts {
				sums = append(sums, sum[i*size:][:size])
			}
		}
		second.add(s.parts*s.blocks, func(task int) { s.run(p, sum, x[s.x:], y, task) })
	}
	calls := make([]*winogradWeightsCall, len(k.blocks))
	for i, v := range k.blocks {
		calls[i] = v.call(p, x, dy)
		calls[i].fill(0, &first)
		calls[i].multiply(0, &second)
	}
	first.run(p)
	second.run(p)
	for _, c := range calls {
		c.rest()
	}
	if !direct {
		tasks := min(k.c.K, packTasks(4*size))
		row := size / k.c.K
		third.add(tasks, func(task int) {
			from, to := task*k.c.K/tasks, (task+1)*k.c.K/tasks
			out := dw[from*row : to*row]
			more := sums
			if len(calls) > 0 {
				calls[0].taps(out, from, to)
			} else {
				copy(out, sums[0][from*row:])
				more = sums[1:]
			}
			for _, c := range calls[min(1, len(calls)):] {
				tmp := p.scratch.take(len(out))
				c.taps(tmp, from, to)
				add(p.set, out, out, tmp)
				p.scratch.give(tmp)
			}
			for _, s := range more {
				add(p.set, out, out, s[from*row:to*row])
			}
		})
		third.run(p)
	}
	for _, c := range calls {
		c.end()
	}
	for _, v := range lent {
		p.scratch.give(v)
	}
}
