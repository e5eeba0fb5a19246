package worker

import "container/heap"

// heapOf is a priority queue of items that know their place in it, so that any of them can be moved or taken out.
type heapOf[T any] struct {
	items []T
	less  func(a, b T) bool
	place func(T) *int32 // of the item, from 1; 0: it is not in the queue
}

// put adds the item, or moves it to where it belongs now.
func (h *heapOf[T]) put(x T) {
	if at := *h.place(x); at != 0 {
		heap.Fix(h, int(at-1))
		return
	}
	heap.Push(h, x)
}

// remove takes the item out if it is there.
func (h *heapOf[T]) remove(x T) {
	if at := *h.place(x); at != 0 {
		heap.Remove(h, int(at-1))
	}
}

// first returns the item that comes first; ok is false if there is none.
func (h *heapOf[T]) first() (x T, ok bool) {
	if len(h.items) == 0 {
		return x, false
	}
	return h.items[0], true
}

// What follows is for container/heap alone.

func (h *heapOf[T]) Len() int           { return len(h.items) }
func (h *heapOf[T]) Less(i, j int) bool { return h.less(h.items[i], h.items[j]) }

func (h *heapOf[T]) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.place(h.items[i]), *h.place(h.items[j]) = int32(i+1), int32(j+1)
}

func (h *heapOf[T]) Push(x any) {
	h.items = append(h.items, x.(T))
	*h.place(x.(T)) = int32(len(h.items))
}

func (h *heapOf[T]) Pop() any {
	last := len(h.items) - 1
	x := h.items[last]
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	*h.place(x) = 0
	return x
}
