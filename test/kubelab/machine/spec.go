package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// Spec says all of a machine; it is kept on disk, so that a machine that was stopped can be started again as it was.
type Spec struct {
	Name     string            `json:"name"`     // host name, 1 to 15 letters, digits and '-'
	Root     string            `json:"root"`     // empty folder on the host, on which the root file system is mounted
	Var      string            `json:"var"`      // the host's folder that is /var; outlives the machine
	Log      string            `json:"log"`      // the host's folder that is /var/log
	Programs string            `json:"programs"` // the host's folder that is /opt/kubelab/bin, read-only
	Group    string            `json:"group"`    // control group of its pods, made before the start, relative to the hierarchies
	Files    map[string]string `json:"files"`    // path in the machine: content; mode 0600, in memory only
	Memory   []string          `json:"memory"`   // folders in the machine whose content does not survive it, such as a database that need not
	Net      Net               `json:"net"`
	Services []Service         `json:"services"` // started in this order
}

// Net is a machine's place in the network.
type Net struct {
	Address netip.Prefix          `json:"address"` // of its interface, with the size of the network
	Switch  bool                  `json:"switch"`  // the other machines are plugged into this one
	Routes  map[string]netip.Addr `json:"routes"`  // network: gateway
}

// Service is a program that is started again whenever it ends.
type Service struct {
	Name  string   `json:"name"`
	Args  []string `json:"args"` // with the program's path first
	Env   []string `json:"env,omitempty"`
	Await string   `json:"await,omitempty"` // network and address, `tcp 127.0.0.1:2379`, that takes connections before it is started
}

// Save keeps the spec in a file that only its owner reads, for there are keys in it.
func (s Spec) Save(path string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return WriteFile(path, text)
}

// Load reads what Save wrote.
func Load(path string) (Spec, error) {
	var s Spec
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("there is no machine of that name: %w", err)
	} else if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// WriteFile writes a file of mode 0600 so that there is always the old or the new one, never a part.
func WriteFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
