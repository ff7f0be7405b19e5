// goroutines N: stacks that grow and shrink while their goroutines allocate; prints how often the runtime says that it was asked.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
)

type node struct {
	left, right *node
	pad         [24]byte
}

// Each level takes a good part of a stack's first page, so that it is copied to a larger one several times.
func grow(depth int) *node {
	var local [256]byte
	if depth == 0 {
		return &node{}
	}
	n := &node{left: grow(depth - 1)}
	local[depth%256] = byte(depth)
	n.pad[0] = local[depth%256]
	return n
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	var wait sync.WaitGroup
	for i := 0; i < n; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			for k := 0; k < 4; k++ {
				if grow(20+i%60) == nil {
					panic("nothing")
				}
			}
		}(i)
	}
	wait.Wait()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	fmt.Println("snapshot end ns 0 mallocs", m.Mallocs, "frees", m.Frees, "alloc", m.HeapAlloc)
}
