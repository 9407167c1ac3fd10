package memory

import (
	"cmp"
	"slices"
	"time"
)

// timed is something with the time that it is sorted by, and the order in which it was stored.
type timed[T any] struct {
	at    time.Time
	order int64
	value T
}

func byTime[T any](a, b timed[T]) int { return earlier(a.at, a.order, b.at, b.order) }

func earlier(a time.Time, orderA int64, b time.Time, orderB int64) int {
	if different := a.Compare(b); different != 0 {
		return different
	}
	return cmp.Compare(orderA, orderB)
}

// insert puts one in its place. Mostly that is the end, for time goes forward.
func insert[T any](list []T, one T, compare func(a, b T) int) []T {
	place := len(list)
	if place > 0 && compare(list[place-1], one) > 0 {
		place, _ = slices.BinarySearchFunc(list, one, compare)
	}
	return slices.Insert(list, place, one)
}

// remove takes one away that is there.
func remove[T any](list []T, one T, compare func(a, b T) int) []T {
	place, there := slices.BinarySearchFunc(list, one, compare)
	if !there {
		panic("memory: what is to be removed is not in its list") // an index of the store's own is wrong
	}
	return slices.Delete(list, place, place+1)
}

// since gives the end of a sorted list, from the first one on whose time is not before since. The zero time means all.
func since[T any](list []T, since time.Time, at func(T) time.Time) []T {
	if since.IsZero() {
		return list
	}
	first, _ := slices.BinarySearchFunc(list, since, func(one T, since time.Time) int {
		if at(one).Before(since) {
			return -1
		}
		return 1
	})
	return list[first:]
}

// valuesSince gives the values of a list from since on.
func valuesSince[T any](list []timed[T], from time.Time) []T {
	var values []T
	for _, one := range since(list, from, func(one timed[T]) time.Time { return one.at }) {
		values = append(values, one.value)
	}
	return values
}
