package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// usage is a quantity for each usage type.
type usage map[string]int64

// add adds a quantity; a sum beyond int64 is an error, for it could not be compared.
func (u usage) add(kind string, quantity int64) error {
	sum := u[kind]
	if (quantity > 0 && sum > math.MaxInt64-quantity) ||
		(quantity < 0 && sum < math.MinInt64-quantity) {
		return fmt.Errorf("sum of %s: overflow", kind)
	}
	u[kind] = sum + quantity
	return nil
}

// addAll adds every quantity of v.
func (u usage) addAll(v usage) error {
	for kind, quantity := range v {
		if err := u.add(kind, quantity); err != nil {
			return err
		}
	}
	return nil
}

// since returns what was added to before to get u.
func (u usage) since(before usage) usage {
	difference := maps.Clone(u)
	if difference == nil {
		difference = usage{}
	}
	for kind, quantity := range before {
		difference[kind] -= quantity
	}
	return difference
}

// kinds returns the usage types of all the given usages, sorted.
func kinds(all ...usage) []string {
	seen := map[string]bool{}
	for _, u := range all {
		for kind := range u {
			seen[kind] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// equal compares by usage type; one that is absent is 0.
func (u usage) equal(v usage) bool {
	for _, kind := range kinds(u, v) {
		if u[kind] != v[kind] {
			return false
		}
	}
	return true
}

// exceeds tells whether some quantity of u is above v's.
func (u usage) exceeds(v usage) bool {
	for _, kind := range kinds(u, v) {
		if u[kind] > v[kind] {
			return true
		}
	}
	return false
}
