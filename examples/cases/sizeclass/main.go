// sizeclass SERIES broken|fixed [PAUSE]: a database of metrics. Each series gets a new chunk an epoch, which grows as points come in; chunks
// live for eight epochs. At its start it reads back what it held: broken, each chunk at its final size and in any order; fixed,
// grown from a new chunk's size and in order of time. It rests for PAUSE ms behind each snapshot.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"time"
)

const (
	kept   = 8   // epochs that a chunk lives
	epochs = 10  // that are run
	first  = 128 // bytes of a new chunk
	points = 64  // bytes that come in at once
)

var pause time.Duration
var held [kept + epochs][][]byte

func finalSize(r *rand.Rand) int {
	interval := []int{240, 480, 960, 1440, 1920, 2880}[r.Intn(6)]
	return interval + r.Intn(interval/2)
}

var point [points]byte

func grown(n int) []byte {
	chunk := make([]byte, 0, first)
	for len(chunk) < n {
		chunk = append(chunk, point[:min(points, n-len(chunk))]...)
	}
	return chunk
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// What the runtime says of itself, with the time as of then.
func snapshot(name string) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	before := time.Now().UnixNano()
	runtime.ReadMemStats(&m)
	defer time.Sleep(pause)
	fmt.Println("snapshot", name, "ns", before, "alloc", m.HeapAlloc, "inuse", m.HeapInuse, "mallocs", m.Mallocs, "frees", m.Frees)
}

func restore(series int, fixed bool, r *rand.Rand) {
	type id struct{ epoch, series, size int }
	ids := make([]id, 0, kept*series)
	for e := 0; e < kept; e++ {
		for s := 0; s < series; s++ {
			ids = append(ids, id{e, s, finalSize(r)})
		}
	}
	if !fixed {
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	}
	for _, c := range ids {
		if fixed {
			held[c.epoch][c.series] = grown(c.size)
		} else {
			held[c.epoch][c.series] = make([]byte, c.size)
		}
	}
}

func ingest(epoch, series int, r *rand.Rand) {
	sizes := make([]int, series)
	for s := range sizes {
		sizes[s] = finalSize(r)
		held[epoch][s] = make([]byte, 0, first)
	}
	for at := 0; at < 4400; at += points { // over all series, as points come in
		for s, size := range sizes {
			if at < size {
				held[epoch][s] = append(held[epoch][s], point[:min(points, size-at)]...)
			}
		}
	}
}

func main() {
	series, _ := strconv.Atoi(os.Args[1])
	if len(os.Args) > 3 {
		ms, _ := strconv.Atoi(os.Args[3])
		pause = time.Duration(ms) * time.Millisecond
	}
	r := rand.New(rand.NewSource(1))
	for e := range held {
		held[e] = make([][]byte, series)
	}
	restore(series, os.Args[2] == "fixed", r)
	snapshot("restored")
	for e := kept; e < kept+epochs; e++ {
		ingest(e, series, r)
		if e == kept+5 {
			snapshot("middle6")
		}
		for s := range held[e-kept] {
			held[e-kept][s] = nil
		}
		snapshot(fmt.Sprint("epoch", e-kept+1))
	}
	runtime.KeepAlive(&held)
}
