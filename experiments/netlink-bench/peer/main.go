// The peer: the same jobs on vishvananda/netlink. Reads commands on stdin, one a line, answers each
// with one line of JSON: {"wallMs":…,"cpuMs":…,"count":…}.
//
//	read NAMESPACE PAIRS    dump root and namespace (links, addresses, routes), compare with what is wanted
//	create PREFIX N         N namespaces, each with a veth whose peer is made right in it
//	delete PREFIX N         those links and namespaces again
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

type answer struct {
	WallMs float64 `json:"wallMs"`
	CPUMs  float64 `json:"cpuMs"`
	Count  int     `json:"count"`
}

func cpuMs() float64 {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func alias(namespace, link, side string) string {
	return fmt.Sprintf("aether:bench/%s/%s#%s", namespace, link, side)
}

// Everything of one namespace that a comparison needs.
type reading struct {
	links  map[string]netlink.Link
	addrs  []netlink.Addr
	routes []netlink.Route
}

// A dump that was torn by a change is done again, as ours is.
func whole[T any](list func() ([]T, error)) []T {
	for attempt := 1; ; attempt++ {
		objects, err := list()
		if errors.Is(err, netlink.ErrDumpInterrupted) && attempt < 5 {
			time.Sleep(5 * time.Millisecond << (attempt - 1))
			continue
		}
		must(err)
		return objects
	}
}

func readAll(h *netlink.Handle) reading {
	links := whole(h.LinkList)
	addrs := whole(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	routes := whole(func() ([]netlink.Route, error) { return h.RouteList(nil, netlink.FAMILY_ALL) })
	byName := make(map[string]netlink.Link, len(links))
	for _, link := range links {
		byName[link.Attrs().Name] = link
	}
	return reading{byName, addrs, routes}
}

func right(link, peer netlink.Link, wantedAlias string) bool {
	if link == nil || peer == nil || link.Type() != "veth" {
		return false
	}
	attrs := link.Attrs()
	return attrs.Alias == wantedAlias && attrs.MTU == 1500 && attrs.Flags&net.FlagUp != 0 &&
		attrs.ParentIndex == peer.Attrs().Index
}

// Pairs that are not as wanted: none, or the run is void.
func read(namespace string, pairs int) int {
	ns, err := netns.GetFromName(namespace)
	must(err)
	defer ns.Close()
	root, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	must(err)
	defer root.Close()
	inner, err := netlink.NewHandleAt(ns, syscall.NETLINK_ROUTE)
	must(err)
	defer inner.Close()
	outside, inside := readAll(root), readAll(inner)
	wrong := 0
	for i := 0; i < pairs; i++ {
		name, peer := fmt.Sprintf("h%d", i), fmt.Sprintf("p%d", i)
		near, far := outside.links[name], inside.links[peer]
		if !right(near, far, alias(namespace, name, "host")) ||
			!right(far, near, alias(namespace, name, "peer")) {
			wrong++
		}
	}
	return wrong
}

func create(prefix string, n int) int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	must(err)
	defer home.Close()
	h, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	must(err)
	defer h.Close()
	for i := 0; i < n; i++ {
		ns, err := netns.NewNamed(fmt.Sprintf("%s%d", prefix, i))
		must(err)
		must(netns.Set(home))
		veth := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: fmt.Sprintf("%s%d", prefix, i), MTU: 1500},
			PeerName:      "eth0",
			PeerNamespace: netlink.NsFd(ns),
		}
		must(h.LinkAdd(veth))
		ns.Close()
	}
	return n
}

func remove(prefix string, n int) int {
	h, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	must(err)
	defer h.Close()
	for i := 0; i < n; i++ {
		name := fmt.Sprintf("%s%d", prefix, i)
		link, err := h.LinkByName(name)
		must(err)
		must(h.LinkDel(link))
		must(netns.DeleteNamed(name))
	}
	return n
}

func main() {
	jobs := map[string]func(string, int) int{"read": read, "create": create, "delete": remove}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var verb, name string
		var n int
		_, err := fmt.Sscan(lines.Text(), &verb, &name, &n)
		must(err)
		job, known := jobs[verb]
		if !known {
			must(fmt.Errorf("unknown command %q", verb))
		}
		cpu, start := cpuMs(), time.Now()
		count := job(name, n)
		out, err := json.Marshal(answer{float64(time.Since(start).Nanoseconds()) / 1e6, cpuMs() - cpu, count})
		must(err)
		fmt.Println(string(out))
	}
}
