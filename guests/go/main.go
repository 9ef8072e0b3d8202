// Counts words and works out a few things with goroutines: a program as Go programmers write
// them, with the runtime, the garbage collector and the scheduler that come with it.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

const text = `Who watches the machine that watches the machine? The one who
asks the machine, and the machine that answers what the one who asks can check.`

// count tells how often each word is in a text.
func count(text string) map[string]int {
	words := make(map[string]int)
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Split(bufio.ScanWords)
	for scanner.Scan() {
		words[strings.ToLower(strings.Trim(scanner.Text(), ".,?"))]++
	}
	return words
}

// collatz is the length of the longest chain that starts in [from, to), and its start.
func collatz(from, to int) (longest, start int) {
	for n := from; n < to; n++ {
		length := 1
		for m := n; m != 1; length++ {
			if m%2 == 0 {
				m /= 2
			} else {
				m = 3*m + 1
			}
		}
		if length > longest {
			longest, start = length, n
		}
	}
	return longest, start
}

func main() {
	began := time.Now()
	fmt.Printf("arguments: %q\n", os.Args[1:])

	words := count(text)
	names := make([]string, 0, len(words))
	for name := range words {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := names[i], names[j]
		return words[a] > words[b] || words[a] == words[b] && a < b
	})
	for _, name := range names[:4] {
		fmt.Printf("%-8s %d\n", name, words[name])
	}

	// Parts of the work for goroutines, and a channel for what they find.
	const limit, parts = 300_000, 10
	type chain struct{ length, start int }
	chains := make(chan chain)
	var workers sync.WaitGroup
	for part := 0; part < parts; part++ {
		workers.Add(1)
		go func(part int) {
			defer workers.Done()
			length, start := collatz(max(1, part*limit/parts), (part+1)*limit/parts)
			chains <- chain{length, start}
		}(part)
	}
	go func() {
		workers.Wait()
		close(chains)
	}()
	var longest chain
	for found := range chains {
		if found.length > longest.length {
			longest = found
		}
	}
	fmt.Printf("longest Collatz chain below %d: %d steps from %d\n", limit, longest.length, longest.start)

	// Enough garbage that some of it must be collected.
	digest := sha256.Sum256([]byte(text))
	for i := 0; i < 200_000; i++ {
		digest = sha256.Sum256(append(make([]byte, 0, 256), digest[:]...))
	}
	fmt.Printf("sha256 of it, again and again: %x\n", digest[:8])

	defer func() {
		fmt.Println("recovered:", recover())
		if time.Since(began) <= 0 {
			fmt.Println("the clock stands still")
		}
	}()
	var nothing map[string]int
	nothing["x"] = 1
}
