package box

// Priors are the boxes that a network's predictions start from.
type Priors struct {
	Boxes  [][4]float32
	Levels []int // how many of them each level of the pyramid has, in their order
}

// Predicted holds what a network predicts at its priors, by name: logits [A,K] under "class", and
// under "box" what a Coder decodes. The values are one image's, or a batch's, image by image.
type Predicted map[string][]float32

// Image returns the predictions of one image of a batch of n.
func (p Predicted) Image(i, n int) Predicted {
	out := Predicted{}
	for name, v := range p {
		size := len(v) / n
		out[name] = v[i*size : (i+1)*size]
	}
	return out
}
