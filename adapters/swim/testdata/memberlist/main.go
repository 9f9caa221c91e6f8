// A member of a cluster by hashicorp/memberlist: the real one, beside which ours is tested and measured.
//
// Tells what happens on stdout, a line of JSON each: {"event":"started","address":…}, then join, leave, update with
// the name and meta of the member, each with the monotonic clock that Node's performance.now() has no part in, so
// readers take their own. Obeys lines on stdin:
//
//	join ADDRESS    exchange lists with it: {"event":"joined","count":…}
//	members         {"event":"members","members":[{"name":…,"meta":…,"address":…}]}
//	key VERB KEY    add, use or remove one of its keyring: {"event":"keys","count":…}, of those that it has then
//	leave           says good-bye, then ends
//
// It ends with its stdin.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

type member struct {
	Name    string `json:"name"`
	Meta    string `json:"meta"`
	Address string `json:"address"`
}

type line struct {
	Event   string   `json:"event"`
	Name    string   `json:"name,omitempty"`
	Meta    string   `json:"meta,omitempty"`
	Address string   `json:"address,omitempty"`
	Count   int      `json:"count,omitempty"`
	Members []member `json:"members,omitempty"`
}

var out sync.Mutex

func tell(what line) {
	bytes, err := json.Marshal(what)
	must(err)
	out.Lock()
	defer out.Unlock()
	fmt.Println(string(bytes))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type events struct{}

func (events) NotifyJoin(n *memberlist.Node)   { tellOf("join", n) }
func (events) NotifyLeave(n *memberlist.Node)  { tellOf("leave", n) }
func (events) NotifyUpdate(n *memberlist.Node) { tellOf("update", n) }

func tellOf(event string, n *memberlist.Node) {
	tell(line{Event: event, Name: n.Name, Meta: string(n.Meta), Address: n.Address()})
}

type delegate struct{ meta string }

func (d delegate) NodeMeta(int) []byte                { return []byte(d.meta) }
func (delegate) NotifyMsg([]byte)                     {}
func (delegate) GetBroadcasts(_, _ int) [][]byte      { return nil }
func (delegate) LocalState(bool) []byte               { return nil }
func (delegate) MergeRemoteState(_ []byte, join bool) {}

// The three steps by which a memberlist changes its key.
func changeKey(ring *memberlist.Keyring, verb string, text string) {
	key, err := base64.StdEncoding.DecodeString(text)
	must(err)
	change, known := map[string]func([]byte) error{
		"add": ring.AddKey, "use": ring.UseKey, "remove": ring.RemoveKey,
	}[verb]
	if !known {
		must(fmt.Errorf("%q is nothing to be done with a key", verb))
	}
	must(change(key))
	tell(line{Event: "keys", Count: len(ring.GetKeys())})
}

func configure() *memberlist.Config {
	name := flag.String("name", "go", "of the member")
	listen := flag.String("listen", "127.0.0.1:0", "address and port")
	profile := flag.String("profile", "lan", "lan, local or fast")
	key := flag.String("key", "", "in base64; none: in the clear")
	label := flag.String("label", "", "of the cluster")
	meta := flag.String("meta", "", "what it says of itself")
	compress := flag.Bool("compress", false, "as memberlist does by default")
	verbose := flag.Bool("verbose", false, "its log on stderr")
	flag.Parse()

	config := memberlist.DefaultLANConfig()
	switch *profile {
	case "local":
		config = memberlist.DefaultLocalConfig()
	case "fast": // core/swim/profiles.ts
		config.ProbeInterval = 250 * time.Millisecond
		config.ProbeTimeout = 100 * time.Millisecond
		config.SuspicionMult = 3
		config.GossipInterval = 50 * time.Millisecond
		config.PushPullInterval = 15 * time.Second
	}
	host, port, err := net.SplitHostPort(*listen)
	must(err)
	config.BindAddr, config.AdvertiseAddr = host, host
	config.BindPort, err = strconv.Atoi(port)
	must(err)
	config.AdvertisePort = config.BindPort
	config.Name, config.Label, config.EnableCompression = *name, *label, *compress
	config.Events, config.Delegate = events{}, delegate{*meta}
	config.LogOutput = io.Discard
	if *verbose {
		config.LogOutput = os.Stderr
	}
	if *key != "" {
		config.SecretKey, err = base64.StdEncoding.DecodeString(*key)
		must(err)
	}
	return config
}

func main() {
	config := configure()
	list, err := memberlist.Create(config)
	must(err)
	tell(line{Event: "started", Address: list.LocalNode().Address()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "join":
			count, _ := list.Join(words[1:])
			tell(line{Event: "joined", Count: count})
		case "members":
			answer := line{Event: "members"}
			for _, n := range list.Members() {
				answer.Members = append(answer.Members, member{n.Name, string(n.Meta), n.Address()})
			}
			tell(answer)
		case "key":
			changeKey(config.Keyring, words[1], words[2])
		case "leave":
			must(list.Leave(5 * time.Second))
			must(list.Shutdown())
			return
		}
	}
}
