package box

import (
	"cmp"
	"slices"
)

// NMS is greedy non-maximum suppression: boxes are visited by falling score
// (equal scores in input order) and one is dropped if its IoU with a box kept
// before is above threshold; exactly at the threshold it stays. It returns the
// indices kept, in the order visited. scores has one value a box.
func NMS[F Float](boxes [][4]F, scores []F, threshold float64) []int {
	return Suppress([]int{}, boxes, nil, byFallingScore(scores), threshold, len(boxes))
}

// NMSPerClass is NMS in which only boxes of one label suppress each other. The
// indices of all labels together come by falling score.
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

// Suppress is the loop of NMS for callers who have an order already: it visits
// boxes in that order, appends the indices it keeps to keep, which is usually
// empty, and stops when keep holds limit of them. Only boxes of one label suppress each
// other; labels may be nil. Both slices are read at the indices of order alone.
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
