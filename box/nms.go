package box

import (
	"cmp"
	"slices"
)

// byFallingScore returns the indices of scores, the highest first, equal ones in their order.
func byFallingScore[F Float](scores []F) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(scores[j], scores[i]), cmp.Compare(i, j))
	})
	return order
}

// Suppress does greedy non-maximum suppression. It visits boxes in the order given, mostly by falling
// score, and drops a box if its IoU with an already kept box is above threshold; a box exactly at the
// threshold is kept. It appends the indices of the kept boxes to keep, which is usually empty, until
// keep holds limit indices. Only boxes with the same label suppress each other; labels may be nil.
// boxes and labels are read only at the indices in order.
func Suppress[F Float](keep []int, boxes [][4]F, labels []int32, order []int, threshold float64, limit int) []int {
visit:
	for _, i := range order {
		if len(keep) >= limit {
			break
		}
		for _, k := range keep {
			if (labels == nil || labels[i] == labels[k]) && IoU(boxes[i], boxes[k]) > threshold {
				continue visit
			}
		}
		keep = append(keep, i)
	}
	return keep
}
