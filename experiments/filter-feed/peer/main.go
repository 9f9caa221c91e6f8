// The peer: the same jobs with Go's standard library. `filter-feed-peer FILE` does each once and prints
// one line of JSON, as ours does (job.ts).
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
)

type answer struct {
	ParseMs     float64 `json:"parseMs"`
	NormaliseMs float64 `json:"normaliseMs"`
	PackMs      float64 `json:"packMs"`
	Count       int     `json:"count"`
	Sha256      string  `json:"sha256"`
	PeakMb      float64 `json:"peakMb"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func usage() syscall.Rusage {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage
}

func timed(job func()) float64 {
	before := usage()
	job()
	after := usage()
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return float64(spent) / 1e6
}

// One address or prefix a line, comments and blanks left out; the others are skipped.
func parse(text []byte) []netip.Prefix {
	var prefixes []netip.Prefix
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(line); err == nil {
			prefixes = append(prefixes, prefix.Masked())
		} else if address, err := netip.ParseAddr(line); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	must(lines.Err())
	return prefixes
}

func normalise(prefixes []netip.Prefix) []netip.Prefix {
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int {
		if order := a.Addr().Compare(b.Addr()); order != 0 {
			return order
		}
		return a.Bits() - b.Bits()
	})
	kept := prefixes[:0]
	for _, prefix := range prefixes {
		if len(kept) == 0 || !kept[len(kept)-1].Overlaps(prefix) {
			kept = append(kept, prefix)
		}
	}
	return kept
}

func pack(prefixes []netip.Prefix) []byte {
	blob := make([]byte, 16, 16+17*len(prefixes))
	var counts [2]uint32
	for _, prefix := range prefixes {
		blob = append(blob, prefix.Addr().AsSlice()...)
		blob = append(blob, byte(prefix.Bits()))
		if prefix.Addr().Is4() {
			counts[0]++
		} else {
			counts[1]++
		}
	}
	copy(blob, "AePS")
	binary.BigEndian.PutUint32(blob[4:], 1)
	binary.BigEndian.PutUint32(blob[8:], counts[0])
	binary.BigEndian.PutUint32(blob[12:], counts[1])
	return blob
}

// The same prefixes in the order of a walk by a step that is prime to any number of them.
func shuffled(prefixes []netip.Prefix) []netip.Prefix {
	walked := make([]netip.Prefix, len(prefixes))
	at := 0
	for i := range walked {
		walked[i] = prefixes[at]
		at = (at + 982_451_653) % len(prefixes)
	}
	return walked
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	must(err)
	var prefixes []netip.Prefix
	var out answer
	out.ParseMs = timed(func() { prefixes = normalise(parse(text)) })
	out.PeakMb = float64(usage().Maxrss) / 1024
	out.PackMs = timed(func() {
		sum := sha256.Sum256(pack(prefixes))
		out.Sha256 = hex.EncodeToString(sum[:])
	})
	rows := shuffled(prefixes)
	out.NormaliseMs = timed(func() { prefixes = normalise(rows) })
	out.Count = len(prefixes)
	must(json.NewEncoder(os.Stdout).Encode(out))
}
