package gomlx

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// Several devices make a step together. Each holds the whole state and an equal part of the batch: of every input that
// is marked with engine.Graph.Batched. XLA's partitioner makes the program of each device from the graph of the whole
// batch, and adds what they tell each other: a sum over the batch becomes one over the devices. So losses, gradients
// and the statistics of batch norms are those of the whole batch, as on one device, but for the order of additions:
// batch norm is synchronised. The new state is computed on all devices alike.

// mesh is a row of devices, along which batches are split.
type mesh struct {
	size         int
	row          *distributed.DeviceMesh // nil: one device
	whole, split *distributed.ShardingSpec
}

func newMesh(size int) (mesh, error) {
	m := mesh{size: size}
	if size == 1 {
		return m, nil
	}
	var err error
	if m.row, err = distributed.NewDeviceMesh([]int{size}, []string{"batch"}); err != nil {
		return m, err
	}
	m.whole = distributed.NewReplicatedShardingSpec(m.row)
	m.split, err = distributed.BuildSpec(m.row).S("batch").Done()
	return m, err
}

// spread returns the devices that compute p: all of the engine's where they divide its batches. A step on other
// batches is refused, for the state is moved on all devices; what Forward reports is then computed by the first alone.
func (e *Engine) spread(p *engine.Program, step bool) (mesh, error) {
	one, batched := mesh{size: 1}, false
	for _, n := range p.Graph.Nodes() {
		if !n.Attr.Batch {
			continue
		}
		batched = true
		switch images := n.Shape[0]; {
		case images%e.mesh.size == 0:
		case step:
			return one, fmt.Errorf("input %s: a batch of %d cannot be split among %d devices: take a multiple of %[3]d, or fewer devices",
				n.Name, images, e.mesh.size)
		default:
			return one, nil
		}
	}
	if step || batched {
		return e.mesh, nil
	}
	return one, nil
}

// prepare makes g a program of several devices, if the mesh has them.
func (m mesh) prepare(g *graph.Graph) error {
	if m.size == 1 {
		return nil
	}
	return g.SetAutoSharding(m.row)
}

// sharding says where a tensor lies: in parts along its first axis, or whole on each device. It is nil for one device.
func (m mesh) sharding(split bool) *distributed.ShardingSpec {
	if split {
		return m.split
	}
	return m.whole
}

// parameter adds an input of a program.
func (m mesh) parameter(g *graph.Graph, name string, shape shapes.Shape, split bool) *graph.Node {
	return graph.ShardedParameter(g, name, shape, m.sharding(split))
}

// splits reports whether an output of that shape is left in parts. Whether its first axis is the batch is of no
// matter to what it holds, but the parts of another one must first be sent around.
func (m mesh) splits(shape []int) bool { return m.size > 1 && len(shape) > 0 && shape[0]%m.size == 0 }

// shardings say where the outputs of q lie; nil for one device.
func (q *program) shardings(outs int) []*distributed.ShardingSpec {
	if q.mesh.size == 1 {
		return nil
	}
	specs := slices.Repeat([]*distributed.ShardingSpec{q.mesh.whole}, outs)
	for i, n := range q.tensors {
		specs[len(q.moved)+len(q.grads)+i] = q.mesh.sharding(q.mesh.splits(n.Shape))
	}
	return specs
}

// execute runs q. Inputs and outputs have a buffer on each device.
func (q *program) execute(in [][]compute.Buffer) ([][]compute.Buffer, error) {
	var flat []compute.Buffer // device by device
	for i := range q.mesh.size {
		for _, on := range in {
			flat = append(flat, on[i])
		}
	}
	err := guarded(func() (err error) {
		flat, err = q.executable.Execute(flat, nil, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([][]compute.Buffer, len(flat)/q.mesh.size)
	for i, b := range flat {
		out[i%len(out)] = append(out[i%len(out)], b)
	}
	return out, nil
}

// enough refuses devices that are not there, and says whose they would be.
func (e *Engine) enough(whose string) error {
	there := e.Devices()
	if e.mesh.size <= there {
		return nil
	}
	e.backend.Finalize()
	return fmt.Errorf("%d devices are asked for, and %s has %d", e.mesh.size, whose, there)
}

// Devices is how many there are for engines of the same plugin.
func (e *Engine) Devices() int {
	if e.virtual {
		return virtualDevices
	}
	return e.backend.NumDevices()
}
