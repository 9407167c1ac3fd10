package line

import (
	"container/heap"
	"time"
)

// rests are the records that are due again at a time, the next one first. A record is in it once.
type rests struct {
	queue []*resting
	byKey map[key]*resting
}

type resting struct {
	key   key
	due   time.Time
	place int
}

func newRests() rests { return rests{byKey: map[key]*resting{}} }

// put lets a record rest until a time and tells whether it is the next one now.
func (r *rests) put(k key, due time.Time) bool {
	one, known := r.byKey[k]
	if known {
		one.due = due
		heap.Fix(r, one.place)
	} else {
		one = &resting{key: k, due: due}
		r.byKey[k] = one
		heap.Push(r, one)
	}
	return one.place == 0
}

func (r *rests) forget(k key) {
	if one, known := r.byKey[k]; known {
		heap.Remove(r, one.place)
		delete(r.byKey, k)
	}
}

// take gives what is due by now, and how long until the next one is: at most rescan.
func (r *rests) take(now time.Time) (due []key, next time.Duration) {
	for len(r.queue) > 0 {
		if first := r.queue[0]; first.due.After(now) {
			return due, min(rescan, first.due.Sub(now))
		}
		due = append(due, r.queue[0].key)
		r.forget(r.queue[0].key)
	}
	return due, rescan
}

// Len, Less, Swap, Push and Pop fulfil heap.Interface.
func (r *rests) Len() int           { return len(r.queue) }
func (r *rests) Less(i, j int) bool { return r.queue[i].due.Before(r.queue[j].due) }
func (r *rests) Swap(i, j int) {
	r.queue[i], r.queue[j] = r.queue[j], r.queue[i]
	r.queue[i].place, r.queue[j].place = i, j
}
func (r *rests) Push(one any) {
	one.(*resting).place = len(r.queue)
	r.queue = append(r.queue, one.(*resting))
}
func (r *rests) Pop() any {
	last := r.queue[len(r.queue)-1]
	r.queue = r.queue[:len(r.queue)-1]
	return last
}
