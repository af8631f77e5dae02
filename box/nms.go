package box

import (
	"cmp"
	"slices"
)

// NMS does greedy non-maximum suppression. It visits boxes by falling score (equal scores in input
// order) and drops a box if its IoU with an already kept box is above threshold; a box exactly at
// the threshold is kept. It returns the indices of the kept boxes, in the order visited. scores
// has one value for each box.
func NMS[F Float](boxes [][4]F, scores []F, threshold float64) []int {
	return Suppress([]int{}, boxes, nil, byFallingScore(scores), threshold, len(boxes))
}

// NMSPerClass is NMS in which only boxes with the same label suppress each other. The indices of
// all labels are returned together, by falling score.
func NMSPerClass[F Float](boxes [][4]F, scores []F, labels []int32, threshold float64) []int {
	return Suppress([]int{}, boxes, labels, byFallingScore(scores), threshold, len(boxes))
}

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

// Suppress is the loop of NMS for callers that already have an order. It visits boxes in that
// order and appends the indices of the kept boxes to keep, which is usually empty, until keep
// holds limit indices. Only boxes with the same label suppress each other; labels may be nil.
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
