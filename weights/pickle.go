package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The values in a pickle of tensors, besides nil, bool, int64, float64 and string.
type (
	tuple []any
	list  struct{ items []any }
	dict  struct{ keys, values []any }
	class string // module.name
	mark  struct{}

	// A storage is where the numbers of tensors lie: file data/KEY of the archive.
	storage struct {
		class class
		key   string
		size  int64 // numbers
	}
	tensor struct {
		storage *storage
		offset  int64
		shape   []int
		stride  []int64
	}
)

// The classes that a pickle may use; all others are refused.
const (
	orderedDict      class = "collections.OrderedDict"
	rebuildTensor    class = "torch._utils._rebuild_tensor_v2"
	rebuildParameter class = "torch._utils._rebuild_parameter"
)

// storages maps PyTorch's classes of numbers to the names of the safetensors format.
var storages = map[class]struct {
	dtype string
	width int
}{
	"torch.FloatStorage": {"F32", 4}, "torch.DoubleStorage": {"F64", 8}, "torch.HalfStorage": {"F16", 2}, "torch.BFloat16Storage": {"BF16", 2},
	"torch.LongStorage": {"I64", 8}, "torch.IntStorage": {"I32", 4}, "torch.ShortStorage": {"I16", 2}, "torch.CharStorage": {"I8", 1},
	"torch.ByteStorage": {"U8", 1}, "torch.BoolStorage": {"BOOL", 1},
}

// kindOf names the kind of a value in an error.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool, int64, float64, string:
		return fmt.Sprintf("the value %.40v", v)
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dictionary"
	case class:
		return "the class " + string(v)
	case *tensor:
		return "a tensor"
	case *storage:
		return "a storage"
	}
	return "a mark"
}

// unpickle runs the instructions of a pickle. It knows only the instructions that torch.save
// writes for tensors in dictionaries and lists, like torch.load with weights_only. Each
// instruction adds at most a few words to memory, so no pickle takes more than a small
// multiple of its size.
//
// We have our own because of this limit and because of the list of classes:
// github.com/nlpodyssey/gopickle allocates as much memory as a length in the file says, and
// makes objects of some classes before it asks its caller.
func unpickle(text []byte) (any, error) {
	u := unpickler{text: text, memo: map[uint32]any{}}
	for {
		at := u.at
		op, err := u.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return u.pop()
		}
		if err := u.do(op[0]); err != nil {
			return nil, fmt.Errorf("byte %d: %w", at, err)
		}
	}
}

type unpickler struct {
	text  []byte
	at    int
	stack []any
	memo  map[uint32]any
}

var errCut = errors.New("the pickle ends too early")

// take reads n bytes.
func (u *unpickler) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.text)-u.at {
		return nil, errCut
	}
	b := u.text[u.at : u.at+n]
	u.at += n
	return b, nil
}

// number reads an unsigned number of n bytes.
func (u *unpickler) number(n int) (uint64, error) {
	b, err := u.take(n)
	if err != nil {
		return 0, err
	}
	var all [8]byte
	copy(all[:], b)
	return binary.LittleEndian.Uint64(all[:]), nil
}

// line reads up to the end of a line.
func (u *unpickler) line() (string, error) {
	n := bytes.IndexByte(u.text[u.at:], '\n')
	if n < 0 {
		return "", errCut
	}
	b, err := u.take(n + 1)
	return string(b[:n]), err
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

var errEmpty = errors.New("nothing on the stack")

func (u *unpickler) pop() (any, error) {
	last, err := u.popN(1)
	if err != nil {
		return nil, err
	}
	return last[0], nil
}

// popN takes the last n values.
func (u *unpickler) popN(n int) ([]any, error) {
	at := len(u.stack) - n
	if at < 0 {
		return nil, errEmpty
	}
	items := append([]any(nil), u.stack[at:]...)
	u.stack = u.stack[:at]
	return items, nil
}

// popMark takes everything after the last mark, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	for i := len(u.stack) - 1; i >= 0; i-- {
		if _, ok := u.stack[i].(mark); ok {
			items := append([]any(nil), u.stack[i+1:]...)
			u.stack = u.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark on the stack")
}

// string pushes a string whose length is a number of n bytes.
func (u *unpickler) string(n int) error {
	size, err := u.number(n)
	if err != nil {
		return err
	}
	b, err := u.take(int(min(size, math.MaxInt32)))
	u.push(string(b))
	return err
}

// put stores the last value as number k.
func (u *unpickler) put(k uint64, err error) error {
	if err != nil {
		return err
	}
	if len(u.stack) == 0 {
		return errEmpty
	}
	u.memo[uint32(k)] = u.stack[len(u.stack)-1]
	return nil
}

// get pushes the value stored as number k.
func (u *unpickler) get(k uint64, err error) error {
	if err != nil {
		return err
	}
	v, ok := u.memo[uint32(k)]
	if !ok {
		return fmt.Errorf("nothing is remembered as %d", k)
	}
	u.push(v)
	return nil
}

// integer pushes an integer; bits is its width if it is signed.
func (u *unpickler) integer(v uint64, err error, bits int) error {
	u.push(int64(v<<(64-bits)) >> (64 - bits))
	return err
}

// do runs one instruction, by its byte in Python's pickletools.
func (u *unpickler) do(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := u.number(1)
		if err == nil && v > 5 {
			err = fmt.Errorf("pickle protocol %d; known: up to 5", v)
		}
		return err
	case 0x95: // FRAME: how many bytes follow
		_, err := u.number(8)
		return err
	case '(':
		u.push(mark{})
	case '0': // POP
		_, err := u.pop()
		return err
	case 'N':
		u.push(nil)
	case 0x88:
		u.push(true)
	case 0x89:
		u.push(false)
	case 'J': // BININT
		v, err := u.number(4)
		return u.integer(v, err, 32)
	case 'K': // BININT1
		v, err := u.number(1)
		return u.integer(v, err, 64)
	case 'M': // BININT2
		v, err := u.number(2)
		return u.integer(v, err, 64)
	case 0x8a: // LONG1
		n, err := u.number(1)
		if err != nil {
			return err
		}
		if n > 8 {
			return fmt.Errorf("a whole number of %d bytes; at most 8 are read", n)
		}
		v, err := u.number(int(n))
		if n == 0 {
			n = 1
		}
		return u.integer(v, err, 8*int(n))
	case 'G': // BINFLOAT, big-endian
		b, err := u.take(8)
		if err != nil {
			return err
		}
		u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 'X': // BINUNICODE
		return u.string(4)
	case 0x8c: // SHORT_BINUNICODE
		return u.string(1)
	case ']':
		u.push(&list{})
	case '}':
		u.push(&dict{})
	case ')':
		u.push(tuple(nil))
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		items, err := u.popN(int(op - 0x84))
		u.push(tuple(items))
		return err
	case 't': // TUPLE
		items, err := u.popMark()
		u.push(tuple(items))
		return err
	case 'a', 'e': // APPEND, APPENDS
		items, err := u.added(op == 'a', 1)
		if err != nil {
			return err
		}
		l, ok := u.last().(*list)
		if !ok {
			return fmt.Errorf("expected a list to add to, found %s", kindOf(u.last()))
		}
		l.items = append(l.items, items...)
	case 's', 'u': // SETITEM, SETITEMS
		items, err := u.added(op == 's', 2)
		if err != nil {
			return err
		}
		d, ok := u.last().(*dict)
		if !ok || len(items)%2 != 0 {
			return fmt.Errorf("expected a dictionary and pairs for it, found %s and %d values", kindOf(u.last()), len(items))
		}
		for i := 0; i < len(items); i += 2 {
			d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
		}
	case 'q': // BINPUT
		return u.put(u.number(1))
	case 'r': // LONG_BINPUT
		return u.put(u.number(4))
	case 0x94: // MEMOIZE
		return u.put(uint64(len(u.memo)), nil)
	case 'h': // BINGET
		return u.get(u.number(1))
	case 'j': // LONG_BINGET
		return u.get(u.number(4))
	case 'c': // GLOBAL
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		return u.global(module, name)
	case 0x93: // STACK_GLOBAL
		names, err := u.popN(2)
		if err != nil {
			return err
		}
		module, _ := names[0].(string)
		name, _ := names[1].(string)
		return u.global(module, name)
	case 'Q': // BINPERSID
		v, err := u.pop()
		if err != nil {
			return err
		}
		s, err := newStorage(v)
		u.push(s)
		return err
	case 'R': // REDUCE
		of, err := u.popN(2)
		if err != nil {
			return err
		}
		made, err := call(of[0], of[1])
		u.push(made)
		return err
	case 'b': // BUILD: attributes, as the versions of modules in a state_dict
		_, err := u.pop()
		if _, ok := u.last().(*dict); err == nil && !ok {
			err = fmt.Errorf("attributes of %s", kindOf(u.last()))
		}
		return err
	default:
		return fmt.Errorf("instruction 0x%02x, which torch.save does not write for tensors in dictionaries", op)
	}
	return nil
}

// added returns what an instruction adds to a list or a dictionary: the last n values if it
// adds one entry, otherwise everything after the last mark.
func (u *unpickler) added(one bool, n int) ([]any, error) {
	if one {
		return u.popN(n)
	}
	return u.popMark()
}

// last returns the last value on the stack, or nil if there is none.
func (u *unpickler) last() any {
	if len(u.stack) == 0 {
		return nil
	}
	return u.stack[len(u.stack)-1]
}

// global pushes a class, if the class is known.
func (u *unpickler) global(module, name string) error {
	c := class(module + "." + name)
	if _, ok := storages[c]; !ok && c != orderedDict && c != rebuildTensor && c != rebuildParameter {
		return fmt.Errorf("the file holds a %.100q; only tensors in dictionaries are read: save model.state_dict()", string(c))
	}
	u.push(c)
	return nil
}

// newStorage reads a persistent id: ("storage", class, key, device, numbers).
func newStorage(v any) (*storage, error) {
	t, _ := v.(tuple)
	if len(t) != 5 || t[0] != "storage" {
		return nil, fmt.Errorf("expected a storage's tuple of 5, found %s", kindOf(v))
	}
	c, _ := t[1].(class)
	key, isKey := t[2].(string)
	size, isSize := t[4].(int64)
	if _, ok := storages[c]; !ok || !isKey || !isSize || size < 0 || size > maxFile {
		return nil, fmt.Errorf("a storage of %s, %s, %s", kindOf(t[1]), kindOf(t[2]), kindOf(t[4]))
	}
	return &storage{c, key, size}, nil
}

// call returns what a class makes of its arguments.
func call(of, arguments any) (any, error) {
	args, _ := arguments.(tuple)
	wrong := fmt.Errorf("%s called with %d arguments it does not have", kindOf(of), len(args))
	switch of {
	case orderedDict:
		if len(args) != 0 {
			return nil, wrong
		}
		return &dict{}, nil
	case rebuildParameter:
		if len(args) < 1 {
			return nil, wrong
		}
		if _, ok := args[0].(*tensor); !ok {
			return nil, wrong
		}
		return args[0], nil
	case rebuildTensor: // storage, offset, shape, stride, …
		if len(args) < 4 {
			return nil, wrong
		}
		s, isStorage := args[0].(*storage)
		offset, isOffset := args[1].(int64)
		shape, isShape := args[2].(tuple)
		stride, isStride := args[3].(tuple)
		if !isStorage || s == nil || !isOffset || !isShape || !isStride || len(shape) != len(stride) || len(shape) > maxDims || offset < 0 || offset > maxFile {
			return nil, wrong
		}
		t := &tensor{storage: s, offset: offset}
		for i := range shape {
			d, isSize := shape[i].(int64)
			by, isStep := stride[i].(int64)
			if !isSize || !isStep || d < 0 || d > maxFile || by < 0 {
				return nil, wrong
			}
			t.shape, t.stride = append(t.shape, int(d)), append(t.stride, by)
		}
		return t, nil
	}
	return nil, fmt.Errorf("%s is called, which no tensor needs", kindOf(of))
}
