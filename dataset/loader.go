package dataset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"focalgrid/dataset/picture"
	"focalgrid/guard"
)

// LoaderOptions sets how batches are made.
type LoaderOptions struct {
	Batch      int     // images a batch, >= 1
	FlipProb   float64 // probability of mirroring left to right, [0, 1]
	Workers    int     // goroutines that decode; 0 means one a core
	Images     []int   // indices into Set.Images to draw from, in this order; nil means all
	Cache      bool    // keep decoded and resized pictures, three bytes a pixel
	CacheBytes int64   // keep no more than this; 0 means 1 GiB
	Bytes      bool    // make Batch.Bytes, not Batch.Pixels
	Pictures   string  // folder that keeps decoded and resized pictures, of any set at any size; empty: none

	Mended func(path string) // called for each picture kept there that was damaged and is made again; may be nil
}

// Batch is the network input of one step and what is known about it.
type Batch struct {
	Pixels  []float32 // N x 3 x H x W, as Transform normalises them
	Bytes   []byte    // N x H x W x 3, as they are, with zeros beyond the images; for an engine that normalises them
	N, H, W int       // H and W: the largest of the batch, rounded up to PadTo
	Items   []Item    // one an image
}

// Item is one image of a batch.
type Item struct {
	Index               int     // into Set.Images
	ID                  int64   // of the image in the file
	Scale               float32 // network pixels per original pixel, in both directions
	Width, Height       int     // original pixels
	NetWidth, NetHeight int     // network pixels that show the image; the rest is padding
	Flipped             bool    // mirrored: network x is NetWidth - Scale * original x
	Boxes               [][4]float32
	Labels              []int32 // index into Set.Classes
	Crowd               []bool
}

// Loader makes batches of a set. Batch and Eval may be called from any number
// of goroutines; Start, Next and Close belong to one.
type Loader struct {
	set       *Set
	transform Transform
	table     *[3][256]float32
	options   LoaderOptions
	images    []int
	inOrder   []int // the images as Eval takes them: oriented ones that are not wide come first
	high      int   // how many these are; 0 where images are not oriented
	draw      func(purpose string, index uint64) *rand.Rand

	epochs sync.Mutex
	orders map[int][]int // the last epochs asked for

	dealing sync.Mutex
	dealt   deal // how far oriented images are dealt to batches

	cache  sync.RWMutex
	kept   map[int]*picture.RGB
	budget int64 // bytes left

	stop  context.CancelFunc // of the prefetching, nil when there is none
	queue chan result
	done  sync.WaitGroup
}

type result struct {
	batch *Batch
	err   error
}

// NewLoader checks the settings. Objects that have no area in network pixels are left
// out, as Fit says. draw returns the random source of a purpose ("shuffle", "flip") at an index,
// equal sources for equal arguments; it may be nil where only Eval is used.
func NewLoader(set *Set, t Transform, o LoaderOptions, draw func(purpose string, index uint64) *rand.Rand) (*Loader, error) {
	switch {
	case o.Batch < 1:
		return nil, fmt.Errorf("loader: Batch is %d, expected at least 1", o.Batch)
	case o.Workers < 0:
		return nil, fmt.Errorf("loader: Workers is %d, expected 0 (one a core) or more", o.Workers)
	case o.CacheBytes < 0:
		return nil, fmt.Errorf("loader: CacheBytes is %d, expected 0 (1 GiB) or more", o.CacheBytes)
	case t.Oriented && t.LongSide < t.ShortSide:
		return nil, fmt.Errorf("loader: LongSide is %d, expected at least %d (ShortSide) for oriented images, which share one size", t.LongSide, t.ShortSide)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 1 << 30
	}
	l := &Loader{
		set: set.Fit(t), transform: t, table: t.table(), options: o, images: o.Images, draw: draw,
		orders: map[int][]int{}, kept: map[int]*picture.RGB{}, budget: o.CacheBytes,
	}
	if l.images == nil {
		l.images = make([]int, len(set.Images))
		for i := range l.images {
			l.images[i] = i
		}
	}
	if len(l.images) == 0 {
		return nil, fmt.Errorf("loader: no images in split %q of %s", set.Split, set.Dir)
	}
	for _, i := range l.images {
		if i < 0 || i >= len(set.Images) {
			return nil, fmt.Errorf("loader: image index %d, expected 0 to %d", i, len(set.Images)-1)
		}
	}
	l.inOrder = l.images
	if t.Oriented {
		wide := func(i int) bool { return Wide(&l.set.Images[i]) }
		high := slices.DeleteFunc(slices.Clone(l.images), wide)
		l.high = len(high)
		l.inOrder = append(high, slices.DeleteFunc(slices.Clone(l.images), func(i int) bool { return !wide(i) })...)
	}
	return l, nil
}

// Len is the number of images drawn from: one epoch.
func (l *Loader) Len() int { return len(l.images) }

// order returns which images step holds, as indices into Set.Images, and which
// of them are mirrored: a function of the draw and the step alone.
//
// Image number n of training is entry n mod Len of the permutation ("shuffle", n div Len). It
// is mirrored where the first number of ("flip", n) is below FlipProb. In slot s of a step is
// n = step*Batch + s, or what numbers deals; a batch may reach into the next epoch.
func (l *Loader) order(step int) (images []int, flips []bool, err error) {
	if l.draw == nil {
		return nil, nil, errors.New("loader: no draw given, expected one for training batches")
	}
	if step < 0 {
		return nil, nil, fmt.Errorf("loader: step is %d, expected 0 or more", step)
	}
	images, flips = make([]int, l.options.Batch), make([]bool, l.options.Batch)
	for slot, n := range l.numbers(step) {
		images[slot] = l.at(n)
		flips[slot] = l.draw("flip", uint64(n)).Float64() < l.options.FlipProb
	}
	return images, flips, nil
}

// at returns image number n of training.
func (l *Loader) at(n int) int { return l.images[l.epoch(n / l.Len())[n%l.Len()]] }

// numbers returns the numbers of a step's images. Oriented ones are dealt to two piles, of wide and of other images, in
// the order of their numbers; the pile that is the next to hold a batch becomes the next step, and begins anew. An
// image may thus wait for later epochs, and where few are of its orientation, come more than once in a batch.
func (l *Loader) numbers(step int) []int {
	batch := l.options.Batch
	if !l.transform.Oriented {
		out := make([]int, batch)
		for slot := range out {
			out[slot] = step*batch + slot
		}
		return out
	}
	l.dealing.Lock()
	defer l.dealing.Unlock()
	d := &l.dealt
	if step < d.steps { // making ahead only goes forward
		*d = deal{}
	}
	for {
		pile := &d.piles[0]
		if Wide(&l.set.Images[l.at(d.images)]) {
			pile = &d.piles[1]
		}
		*pile = append(*pile, d.images)
		d.images++
		if len(*pile) < batch {
			continue
		}
		full := *pile
		*pile = nil
		if d.steps++; d.steps > step {
			return full
		}
	}
}

// deal is how far oriented images have been dealt.
type deal struct {
	images, steps int      // how many of them, into how many batches
	piles         [2][]int // numbers of images without a batch yet: high and wide
}

// epoch returns a permutation; the last few stay at hand.
func (l *Loader) epoch(e int) []int {
	l.epochs.Lock()
	defer l.epochs.Unlock()
	if p, ok := l.orders[e]; ok {
		return p
	}
	if len(l.orders) > 3 {
		clear(l.orders)
	}
	p := l.draw("shuffle", uint64(e)).Perm(l.Len())
	l.orders[e] = p
	return p
}

// Batch makes the batch of a step. The error names the file and the image id.
func (l *Loader) Batch(step int) (*Batch, error) {
	return l.batch(context.Background(), new(Batch), step)
}

func (l *Loader) batch(ctx context.Context, b *Batch, step int) (*Batch, error) {
	images, flips, err := l.order(step)
	if err != nil {
		return nil, err
	}
	return l.assemble(ctx, b, images, flips)
}

// Eval makes a batch of n images from number first on, in their own order, unmirrored. Oriented images are numbered
// anew: those that are not wide come first. A batch is shorter at the end, and at the last image before the wide ones;
// the next one begins at first+Batch.N. Beyond the end the error is io.EOF.
func (l *Loader) Eval(first, n int) (*Batch, error) {
	if first < 0 || n < 1 {
		return nil, fmt.Errorf("loader: images %d and %d more, expected 0 or more and at least 1", first, n)
	}
	if first >= l.Len() {
		return nil, io.EOF
	}
	last := min(first+n, l.Len())
	if first < l.high {
		last = min(last, l.high)
	}
	images := l.inOrder[first:last]
	return l.assemble(context.Background(), new(Batch), images, make([]bool, len(images)))
}

// assemble decodes the images and lays them side by side in b, whose memory it uses again.
func (l *Loader) assemble(ctx context.Context, b *Batch, images []int, flips []bool) (*Batch, error) {
	b.N, b.H, b.W = len(images), 0, 0
	b.Items = reuse(b.Items, b.N)
	for i, index := range images {
		l.describe(&b.Items[i], index, flips[i])
		b.H, b.W = max(b.H, b.Items[i].NetHeight), max(b.W, b.Items[i].NetWidth)
	}
	b.H, b.W = l.transform.Padded(b.H), l.transform.Padded(b.W)
	if l.transform.Oriented {
		b.H, b.W = l.transform.OrientedSize(Wide(&l.set.Images[images[0]]))
	}
	plane := 3 * b.H * b.W
	if l.options.Bytes {
		b.Bytes = reuse(b.Bytes, b.N*plane)
	} else {
		b.Pixels = reuse(b.Pixels, b.N*plane)
	}
	err := parallel(ctx, b.N, l.options.Workers, func(i int) error {
		p, err := l.picture(images[i])
		if err != nil {
			return err
		}
		if l.options.Bytes {
			placeBytes(p, b.Bytes[i*plane:][:plane], b.W, flips[i])
			return nil
		}
		pixels := b.Pixels[i*plane:][:plane]
		if p.Height < b.H || p.Width < b.W {
			clear(pixels) // the padding
		}
		place(p, pixels, b.H, b.W, flips[i], l.table)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// describe writes all but the pixels of one image.
func (l *Loader) describe(it *Item, index int, flip bool) {
	im := &l.set.Images[index]
	w, h, scale := l.transform.Size(im.Width, im.Height)
	n := len(im.Objects)
	*it = Item{
		Index: index, ID: im.ID, Scale: scale, Width: im.Width, Height: im.Height,
		NetWidth: w, NetHeight: h, Flipped: flip,
		Boxes: reuse(it.Boxes, n), Labels: reuse(it.Labels, n), Crowd: reuse(it.Crowd, n),
	}
	for i, o := range im.Objects {
		b := scaleBox(o.Box, scale)
		if flip {
			b = mirrorBox(b, w)
		}
		it.Boxes[i], it.Labels[i], it.Crowd[i] = b, o.Label, o.Crowd
	}
}

// reuse returns a slice of n values, the old one if it is long enough; the values are arbitrary.
func reuse[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Original maps a box of network pixels back to original pixels, clipped to the
// image.
func (it *Item) Original(b [4]float32) [4]float32 {
	if it.Flipped {
		b = mirrorBox(b, it.NetWidth)
	}
	limit := [4]float32{float32(it.Width), float32(it.Height), float32(it.Width), float32(it.Height)}
	for k := range b {
		b[k] = min(max(b[k]/it.Scale, 0), limit[k])
	}
	return b
}

// picture returns image index at network size, from the cache if it is there.
func (l *Loader) picture(index int) (*picture.RGB, error) {
	if l.options.Cache {
		l.cache.RLock()
		p := l.kept[index]
		l.cache.RUnlock()
		if p != nil {
			return p, nil
		}
	}
	p, err := l.resized(index)
	if err != nil {
		return nil, err
	}
	if l.options.Cache {
		l.cache.Lock()
		if size := int64(len(p.Pix)); l.kept[index] == nil && size <= l.budget {
			l.kept[index] = p
			l.budget -= size
		}
		l.cache.Unlock()
	}
	return p, nil
}

// resized returns a picture at the transform's size, from the folder of
// pictures if it is there. A full disk costs the folder its use, not a training its life.
func (l *Loader) resized(index int) (*picture.RGB, error) {
	folder := pictures(l.options.Pictures)
	if folder == "" {
		data, err := l.set.read(index)
		if err != nil {
			return nil, err
		}
		return l.resize(index, data)
	}
	im := &l.set.Images[index]
	ratio := l.transform.ratio(im.Width, im.Height)
	w, h, _ := l.transform.Size(im.Width, im.Height)
	var (
		data []byte
		sum  [sha256.Size]byte
		err  error
	)
	if l.set.Sums != nil { // the file itself is not needed, unless it has no entry
		sum = l.set.Sums[index]
	} else {
		if data, err = l.set.read(index); err != nil {
			return nil, err
		}
		sum = sha256.Sum256(data)
	}
	p, damaged := folder.read(sum, ratio, w, h)
	if p != nil {
		return p, nil
	}
	if data == nil {
		if data, err = l.set.read(index); err != nil {
			return nil, err
		}
	}
	if p, err = l.resize(index, data); err != nil {
		return nil, err
	}
	if damaged && l.options.Mended != nil {
		l.options.Mended(folder.path(pictureName(sum, ratio)))
	}
	_ = folder.write(sum, ratio, p)
	return p, nil
}

// resize decodes the file of an image, at the transform's size.
func (l *Loader) resize(index int, data []byte) (*picture.RGB, error) {
	p, err := l.set.decode(index, data)
	if err != nil {
		return nil, err
	}
	if p, err = l.transform.Resize(p); err != nil {
		return nil, fmt.Errorf("%s: image id %d: %w", l.set.Path(index), l.set.Images[index].ID, err)
	}
	return p, nil
}

// Start begins to make batches ahead, from a step on, for Next to return: one
// waiting and one in the making. A Start while another runs ends that one.
func (l *Loader) Start(from int) {
	l.Close()
	ctx, stop := context.WithCancel(context.Background())
	queue := make(chan result, 1)
	l.stop, l.queue = stop, queue
	// Three batches take turns: one is in the making, one waits, one is with Next's caller.
	// Before the first of them is filled anew, the second has left the queue.
	var ring [3]Batch
	l.done.Go(func() {
		defer close(queue)
		for step := from; ; step++ {
			var b *Batch
			err := guard.Run(func() (err error) { // a panic is its step's, not the program's
				b, err = l.batch(ctx, &ring[(step-from)%len(ring)], step)
				return err
			})
			select {
			case queue <- result{b, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
}

// ErrStopped is returned by Next where nothing is being made ahead: before
// Start, after Close and after an error.
var ErrStopped = errors.New("loader: not started")

// Next returns the batches from Start's step on, one a call. A batch is the
// caller's until the next call of Next, which has its memory filled anew. After an
// error the loader must be started again.
func (l *Loader) Next() (*Batch, error) {
	if l.queue == nil {
		return nil, ErrStopped
	}
	r, ok := <-l.queue
	if !ok {
		return nil, ErrStopped
	}
	return r.batch, r.err
}

// Close ends the making ahead and waits until its goroutines have returned. The
// loader can be started again.
func (l *Loader) Close() {
	if l.stop == nil {
		return
	}
	l.stop()
	l.done.Wait()
	l.stop, l.queue = nil, nil
}
