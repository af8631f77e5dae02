package coco

import (
	"bytes"
	"io"
	"slices"
	"sync"

	"focalgrid/guard"
)

// block is a part of the stream between two entries, and the entries read from it.
// Blocks are reused: the garbage collector would slow the reader down if every part
// were allocated.
type block[T any] struct {
	buf  []byte
	text []byte // of buf; pad zero bytes follow
	list []T
	used int           // bytes of text up to the end of the last entry in list
	done chan struct{} // has room for the one message that list is complete
}

// parallel appends entries to list, which is an array that began at offset start. It
// reads the entries that follow the scanner's position, which is right after an entry.
// Its workers read entries in the everyday form. At anything else parallel stops: the
// scanner is then right after the last entry of list, and the rest is read as without
// parallel. So results and errors are the results and errors of a single reader.
//
// The stream is cut where an entry seems to begin. If a cut is in a wrong place, such as
// inside a string, the block does not end with an entry, and parallel stops there too.
func parallel[T any](s *scanner, list []T, start int64, quick func(b []byte, i int, e *T) int) []T {
	atOnce := 2 * s.workers // some wait, so that no worker does
	queue := make(chan *block[T], atOnce)
	var all sync.WaitGroup
	var panics guard.Catcher
	for range s.workers - 1 { // this goroutine is the other worker
		all.Go(func() {
			defer panics.Catch()
			for b := range queue {
				b.read(quick)
			}
		})
	}
	rest := bytes.Clone(s.buf[s.pos:s.end]) // read of the stream and not yet in a block
	s.base, s.pos, s.end = s.offset(), 0, 0
	var running, spare []*block[T] // in the order of the stream; to use again
	var unread [][]byte
	for more := true; ; {
		for more && len(running) < atOnce {
			if len(spare) == 0 {
				spare = append(spare, &block[T]{buf: make([]byte, bufferSize+pad), done: make(chan struct{}, 1)})
			}
			b := spare[len(spare)-1]
			if rest, more = b.cut(rest, s.r); more {
				spare = spare[:len(spare)-1]
				running = append(running, b)
				queue <- b
			}
		}
		if len(running) == 0 {
			break
		}
		b := running[0]
		for waiting := true; waiting; {
			select {
			case <-b.done:
				waiting = false
			case next := <-queue: // b itself, if no one has taken it
				next.read(quick)
			}
		}
		n := len(b.list)
		if len(list)+n > maxEntries {
			break
		}
		if len(list)+n > cap(list) {
			list = grow(list, max(n, s.expect(len(list), start)))
		}
		list = append(list, b.list...)
		s.base += int64(b.used)
		running = running[1:]
		if b.used < len(b.text) {
			unread = append(unread, b.text[b.used:])
			break
		}
		spare = append(spare, b)
	}
	close(queue)
	all.Wait()
	panics.Throw()
	for _, b := range running {
		unread = append(unread, b.text)
	}
	s.r = io.MultiReader(bytes.NewReader(slices.Concat(append(unread, rest)...)), s.r)
	return list
}

// cut fills b with rest and the bytes of the stream after it, up to the end of the last
// entry that seems to be complete, and returns the bytes that are left. At the end of the
// stream, or if there is no such entry, it returns false and all that it has read.
func (b *block[T]) cut(rest []byte, r io.Reader) ([]byte, bool) {
	n := copy(b.buf[:bufferSize], rest)
	more, err := io.ReadFull(r, b.buf[n:bufferSize])
	n += more
	end := lastEntry(b.buf[:n])
	if err != nil || end <= 0 {
		return append(rest[:0], b.buf[:n]...), false
	}
	rest = append(rest[:0], b.buf[end:n]...)
	clear(b.buf[end : end+pad])
	b.text = b.buf[:end]
	return rest, true
}

// lastEntry returns the end of the last object that seems to be followed by a comma and
// another object, or 0 if there is none.
func lastEntry(b []byte) int {
	for {
		i := bytes.LastIndexByte(b, '{')
		if i < 0 {
			return 0
		}
		b = b[:i]
		if before, ok := bytes.CutSuffix(bytes.TrimRight(b, space), []byte{','}); ok {
			if before = bytes.TrimRight(before, space); bytes.HasSuffix(before, []byte{'}'}) {
				return len(before)
			}
		}
	}
}

// space is JSON's white space.
const space = " \n\r\t"

// read reads the entries of b as far as they are in the everyday form.
func (b *block[T]) read(quick func(b []byte, i int, e *T) int) {
	defer func() { b.done <- struct{}{} }()
	b.list, b.used = b.list[:0], 0
	text := b.text[:len(b.text)+pad]
	var zero T
	for {
		i := quickSpace(text, b.used)
		if text[i] != ',' {
			return
		}
		last := len(b.list)
		b.list = append(b.list, zero)
		next := quick(text, quickSpace(text, i+1), &b.list[last])
		if next < 0 {
			b.list = b.list[:last]
			return
		}
		b.used = next
	}
}
