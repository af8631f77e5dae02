package detector

import (
	"fmt"
	"maps"
	"sync"

	"focalgrid/box"
	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/loss"
	"focalgrid/sampler"
)

// Remote reports whether an engine computes in a memory of its own. What it is fed travels there, in a fifth of the
// bytes that the network reads: images as bytes, and targets as rows of tables.
func Remote(e engine.Engine) bool {
	_, ok := e.(engine.Stager)
	return ok
}

func (z size) String() string { return fmt.Sprintf("%d images of %d×%d", z.n, z.h, z.w) }

// image adds the network's input, of the pixels that it is fed.
func (z size) image(g *engine.Graph) *engine.Node {
	if !z.bytes {
		return g.Batched(g.Input("image", z.n, 3, z.h, z.w))
	}
	bytes, sizes := g.InputOf(engine.Bytes, "bytes", z.n, z.h, z.w, 3), g.InputOf(engine.Int32, "sizes", z.n, 2)
	return g.Pixels(g.Batched(bytes), g.Batched(sizes), g.Input("mean", 3), g.Input("std", 3))
}

// imageFeeds returns what image reads of a batch. Where that has fewer images than the network, the others are empty.
func (z size) imageFeeds(b *dataset.Batch) engine.Feeds {
	if !z.bytes {
		return engine.Feeds{"image": filled(b.Pixels, z.n*3*z.h*z.w)}
	}
	sizes := make([]int32, 2*z.n)
	for i, it := range b.Items {
		sizes[2*i], sizes[2*i+1] = int32(it.NetHeight), int32(it.NetWidth)
	}
	return engine.Feeds{"bytes": filled(b.Bytes, z.n*z.h*z.w*3), "sizes": sizes}
}

// filled returns values with zeros behind them, up to that many.
func filled[T any](values []T, n int) []T {
	if len(values) == n {
		return values
	}
	out := make([]T, n)
	copy(out, values)
	return out
}

// constants returns what the inputs of g are fed at each step. On a remote engine they stay there.
func (d *Detector) constants(g *engine.Graph, priors *sampler.Priors) (engine.Feeds, error) {
	t := d.Config.Transform()
	known := engine.Feeds{"mean": t.Mean[:], "std": t.Std[:], "priors": flat(priors.Boxes)}
	for _, term := range d.parts.Terms {
		maps.Copy(known, term.Scalars)
	}
	out := engine.Feeds{}
	for name, v := range known {
		if n := g.Node(name); n != nil && n.Op == engine.OpInput {
			out[name] = v
			if len(n.Shape) == 0 {
				continue // scalars travel together
			}
			if err := stage(d.engine, out, name, n.Attr.Batch, n.Shape...); err != nil {
				unstage(out)
				return nil, err
			}
		}
	}
	return out, nil
}

func flat(boxes [][4]float32) []float32 {
	out := make([]float32, 0, 4*len(boxes))
	for _, b := range boxes {
		out = append(out, b[:]...)
	}
	return out
}

// stage takes a feed to a remote engine.
func stage(e engine.Engine, f engine.Feeds, name string, batch bool, shape ...int) error {
	s, ok := e.(engine.Stager)
	if !ok {
		return nil
	}
	v, err := s.Stage(f[name], batch, shape...)
	if err == nil {
		f[name] = v
	}
	return err
}

// unstage gives back what of f is staged.
func unstage(f engine.Feeds) {
	for _, v := range f {
		if s, ok := v.(engine.Staged); ok {
			s.Free()
		}
	}
}

// free gives back what the network keeps on a remote engine, beside its session.
func (n *network) free() { unstage(n.feeds) }

// feeder turns batches into feeds, on any goroutine, but one at a time.
type feeder struct {
	d       *Detector
	remote  bool
	running float64 // mean of the normaliser "ema", after the last batch
	objects int     // of an image, for which tables have room

	known    sync.Mutex
	bySize   map[[2]int]*sampler.Priors // by height and width
	samplers map[*sampler.Priors]*sampler.Sampler
}

func newFeeder(d *Detector) *feeder {
	return &feeder{d: d, remote: Remote(d.engine), bySize: map[[2]int]*sampler.Priors{}, samplers: map[*sampler.Priors]*sampler.Sampler{}}
}

// priors returns those of an input's size. Any goroutine may call it.
func (f *feeder) priors(h, w int) (*sampler.Priors, error) {
	f.known.Lock()
	defer f.known.Unlock()
	key := [2]int{h, w}
	if p := f.bySize[key]; p != nil {
		return p, nil
	}
	p, err := f.d.parts.Network.Priors(h, w)
	if err != nil {
		return nil, err
	}
	if len(f.bySize) == maxNetworks {
		clear(f.bySize)
	}
	f.bySize[key] = sampler.NewPriors(p)
	return f.bySize[key], nil
}

// sampler returns the sampler of an input's size, with the running mean so far.
func (f *feeder) sampler(h, w int) (*sampler.Sampler, error) {
	p, err := f.priors(h, w)
	if err != nil {
		return nil, err
	}
	s := f.samplers[p]
	if s == nil {
		if len(f.samplers) == maxNetworks {
			clear(f.samplers)
		}
		if s, err = sampler.NewSampler(f.d.parts.Sampler, p, f.d.Classes); err != nil {
			return nil, err
		}
		f.samplers[p] = s
	}
	if f.running == 0 {
		f.running = s.Running
	}
	s.Running = f.running
	return s, nil
}

// objectsStep is what the objects of a table are rounded up to, so that few networks are compiled.
const objectsStep = 16

// room makes room in tables for that many objects of an image, and returns for how many there is.
func (f *feeder) room(objects int) int {
	f.objects = max(f.objects, objectsStep, (objects+objectsStep-1)/objectsStep*objectsStep)
	return f.objects
}

// training returns the size of a network that trains on n images of h × w pixels, which have so many objects at most.
func (f *feeder) training(n, h, w int, bytes bool, objects int) size {
	z := size{n: n, h: h, w: w, train: true, bytes: bytes}
	if f.remote {
		c := f.d.parts.Sampler
		z.objects, z.losses = f.room(objects), c.NeedsPredictions() && !c.ReadsLogits()
	}
	return z
}

// fed is a batch as the network of its size is fed it.
type fed struct {
	size      size
	feeds     engine.Feeds
	assign    engine.Assign // for targets that depend on predictions; else nil
	positives int
	running   float64
}

// batch returns the feeds of a training batch. Those that hold memory of the feeder are good until its next call; on a
// remote engine all are there already.
func (f *feeder) batch(b *dataset.Batch) (*fed, error) {
	s, err := f.sampler(b.H, b.W)
	if err != nil {
		return nil, err
	}
	objects, most := objectsOf(b), 0
	for _, o := range objects {
		most = max(most, len(o.Boxes))
	}
	z := f.training(b.N, b.H, b.W, b.Bytes != nil, most)
	matched, err := s.Match(objects)
	if err != nil {
		return nil, err
	}
	out := &fed{size: z, feeds: z.imageFeeds(b)}
	if z.losses {
		out.feeds["classes"] = s.Classes(matched)
	}
	assign := func(p engine.Values) (engine.Feeds, error) {
		predicted := box.Predicted(p)
		if z.losses {
			predicted = box.Predicted{"loss": p[priorLoss], "box": p["box"]}
		}
		feeds, positives, err := f.targets(s, matched, predicted, z.objects)
		f.running = s.Running
		out.positives, out.running = positives, s.Running
		return feeds, err
	}
	if f.d.parts.Sampler.NeedsPredictions() {
		out.assign, out.running = assign, f.running
	} else {
		targets, err := assign(nil)
		if err != nil {
			return nil, err
		}
		maps.Copy(out.feeds, targets)
	}
	if !f.remote {
		return out, nil
	}
	for name, shape := range f.shapes(z, len(matched.Match)/b.N) {
		if _, ok := out.feeds[name]; !ok {
			continue
		}
		if err := stage(f.d.engine, out.feeds, name, true, shape...); err != nil {
			unstage(out.feeds)
			return nil, err
		}
	}
	return out, nil
}

// Feed makes what a training step on a batch is fed, and makes no step: to measure that work. It returns the number of
// positives, which is 0 where targets depend on predictions.
func (d *Detector) Feed(b *dataset.Batch) (positives int, err error) {
	f, err := d.feeder.batch(b)
	if err != nil {
		return 0, err
	}
	unstage(f.feeds)
	return f.positives, nil
}

// ahead reports whether batches can be made while a step runs: on a remote engine, where nothing waits for predictions.
func (f *feeder) ahead() bool {
	return f.remote && !f.d.parts.Sampler.NeedsPredictions()
}

// targets returns the feeds of a batch's targets, and the number of positives.
func (f *feeder) targets(s *sampler.Sampler, m sampler.Matched, p box.Predicted, objects int) (engine.Feeds, int, error) {
	if objects > 0 {
		r, err := s.Rows(m, p, objects)
		if err != nil {
			return nil, 0, err
		}
		feeds := engine.Feeds{"table": r.Table, "rows": r.Bytes}
		if r.Bytes == nil {
			feeds["rows"] = r.Ints
		}
		if f.wants("quality") {
			feeds["quality"] = r.Quality
		}
		return feeds, r.Positives, nil
	}
	t, err := s.Targets(m, p)
	if err != nil {
		return nil, 0, err
	}
	feeds := engine.Feeds{}
	for name, v := range t.ByName() {
		if f.wants(name) {
			feeds[name] = v
		}
	}
	return feeds, t.Positives, nil
}

// wants reports whether a loss reads the target.
func (f *feeder) wants(target string) bool {
	for _, t := range f.d.parts.Terms {
		for _, name := range t.Loss.Targets {
			if name == target {
				return true
			}
		}
	}
	return false
}

// rows is the kind and the count of the rows of a table.
func (f *feeder) rows(objects int) (engine.Kind, int) {
	count := f.d.parts.Sampler.TableRows(objects)
	if count <= sampler.MostBytes {
		return engine.Bytes, count
	}
	return engine.Int32, count
}

// shapes are those of the feeds of a batch with that many priors an image.
func (f *feeder) shapes(z size, priors int) map[string][]int {
	_, rows := f.rows(z.objects)
	return map[string][]int{
		"bytes": {z.n, z.h, z.w, 3}, "sizes": {z.n, 2}, "image": {z.n, 3, z.h, z.w},
		"table": {z.n, rows, sampler.RowSize}, "rows": {z.n, priors}, "quality": {z.n, priors}, "classes": {z.n, priors},
	}
}

// priorLoss names the losses that a network of size.losses hands out.
const priorLoss = "prior_loss"

// losses hands out the cross entropy of each prior in place of its logits: one number a prior, not one a class.
func (f *feeder) losses(g *engine.Graph, z size, predictions []*engine.Node) []*engine.Node {
	logits := g.Node("class")
	kind := engine.Bytes
	if f.d.Classes >= sampler.MostBytes {
		kind = engine.Int32
	}
	labels := g.Sub(g.Batched(g.InputOf(kind, "classes", z.n, logits.Shape[1])), g.Const(1))
	right := g.Mul(logits, g.OneHot(labels, f.d.Classes))
	wrong := g.Sub(g.Sub(logits, right), right) // the logit, negated at the object's class
	out := []*engine.Node{g.Named(g.SumLast(g.Softplus(wrong)), priorLoss)}
	for _, p := range predictions {
		if p != logits {
			out = append(out, p)
		}
	}
	return out
}

// addTargets adds the targets, made of the tables and of the rows of the priors.
func (f *feeder) addTargets(g *engine.Graph, z size, priors int) {
	kind, count := f.rows(z.objects)
	rows := g.Gather(g.Batched(g.Input("table", z.n, count, sampler.RowSize)), g.Batched(g.InputOf(kind, "rows", z.n, priors)))
	column := func(name string, at int) {
		g.Named(g.Reshape(g.Slice(rows, 2, at, at+1), z.n, priors), name)
	}
	column("labels", sampler.LabelColumn)
	column("class_weight", sampler.ClassWeightColumn)
	column("box_weight", sampler.BoxWeightColumn)
	boxes := g.Slice(rows, 2, sampler.BoxColumn, sampler.RowSize)
	if f.d.parts.Sampler.BoxTarget == "deltas" {
		boxes = g.EncodeBoxes(loss.CodeOf(f.d.parts.Coder), boxes, g.Input("priors", targetShape("priors", z.n, priors)...))
	}
	g.Named(boxes, "box_target")
}
