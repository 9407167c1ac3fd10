package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// maxAnswer is how long an answer of the runtime API may be.
const maxAnswer = 16 << 20

// ask gives the answer to one command.
func (t *Target) ask(ctx context.Context, command string) (string, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, t.network(), t.Socket)
	if errors.Is(err, os.ErrPermission) {
		return "", jenner.Permanent(err, "run as root, or as the user or group of the socket")
	}
	if err != nil {
		return "", jenner.Retryable(fmt.Errorf("HAProxy cannot be asked: %w", err), "")
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	if _, err = io.WriteString(connection, command+"\n"); err == nil {
		var answer []byte
		if answer, err = io.ReadAll(io.LimitReader(connection, maxAnswer)); err == nil {
			return string(answer), nil
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return "", jenner.Retryable(fmt.Errorf("HAProxy did not answer %q: %w", command, err), "")
}

// tell gives a command that HAProxy answers with nothing where it is well.
func (t *Target) tell(ctx context.Context, command string) error {
	answer, err := t.ask(ctx, command)
	if err != nil {
		return err
	}
	return t.refusal(command, answer)
}

func (t *Target) refusal(command, answer string) error {
	answer = strings.TrimSpace(answer)
	switch {
	case answer == "":
		return nil
	case strings.HasPrefix(answer, "Permission denied"):
		return jenner.Permanent(fmt.Errorf("HAProxy refuses %q: %s", command, answer), "the socket needs `level admin`")
	}
	return jenner.Permanent(fmt.Errorf("HAProxy refuses %q: %s", command, answer), "")
}

// The states that a server can be put in.
const (
	stateReady = "ready"
	stateDrain = "drain" // no new sessions but those that belong to it
	stateMaint = "maint" // no sessions and no checks
)

var states = []string{stateReady, stateDrain, stateMaint}

// server is one server of a backend, as `show servers state` tells it.
type server struct {
	Name    string `json:"name"`
	State   string `json:"state"` // ready, drain or maint, as it was set for this server itself
	Address string `json:"address"`
	Port    int    `json:"port"`
	Up      bool   `json:"up"`      // HAProxy takes it for running
	Follows string `json:"follows"` // drain or maint, where what it tracks, or the lack of an address, puts it there
	Checked bool   `json:"checked"` // it has a health check
	Passed  bool   `json:"passed"`  // whose last answer was good
}

// serves tells whether new sessions go to the server.
func (s server) serves() bool { return s.Up && s.State == stateReady && s.Follows == "" }

// setting is what actions change, and what their fingerprints are made of.
func (s server) setting() string {
	return fmt.Sprintf("%s %s %s:%d", s.Name, s.State, s.Address, s.Port)
}

// The bits of srv_admin_state and srv_check_state and the value of srv_op_state that matter here; see SRV_ADMF_* and
// SRV_ST_* in haproxy/server-t.h, CHK_ST_* and CHK_RES_* in haproxy/check-t.h.
const (
	adminForcedMaint    = 0x01
	adminInheritedMaint = 0x02
	adminForcedDrain    = 0x08
	adminInheritedDrain = 0x10
	adminResolvedMaint  = 0x20
	checkEnabled        = 0x04
	checkPassed         = 3
	opStopped           = 0
	opStopping          = 3
)

// servers are those of the backend.
func (t *Target) servers(ctx context.Context) ([]server, error) {
	command := "show servers state " + t.Backend
	answer, err := t.ask(ctx, command)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	if len(lines) < 2 || lines[0] != "1" || !strings.HasPrefix(lines[1], "# ") {
		return nil, t.refusal(command, answer+" ")
	}
	column := map[string]int{}
	for i, name := range strings.Fields(lines[1])[1:] {
		column[name] = i
	}
	var all []server
	for _, line := range lines[2:] {
		one, err := serverOf(strings.Fields(line), column)
		if err != nil {
			return nil, jenner.Permanent(fmt.Errorf("HAProxy's answer to %q cannot be read: %w", command, err), "")
		}
		all = append(all, one)
	}
	return all, nil
}

func serverOf(fields []string, column map[string]int) (server, error) {
	var missing error
	field := func(name string) string {
		i, known := column[name]
		if !known || i >= len(fields) {
			missing = fmt.Errorf("it has no %s", name)
			return "0"
		}
		return fields[i]
	}
	number := func(name string) int {
		n, err := strconv.Atoi(field(name))
		if err != nil {
			missing = fmt.Errorf("%s: %w", name, err)
		}
		return n
	}
	admin, op, check := number("srv_admin_state"), number("srv_op_state"), number("srv_check_state")
	one := server{Name: field("srv_name"), State: stateReady, Address: field("srv_addr"), Port: number("srv_port"),
		Up: op != opStopped && op != opStopping, Checked: check&checkEnabled != 0, Passed: number("srv_check_result") >= checkPassed}
	switch {
	case admin&adminForcedMaint != 0:
		one.State = stateMaint
	case admin&adminForcedDrain != 0:
		one.State = stateDrain
	}
	switch {
	case admin&(adminInheritedMaint|adminResolvedMaint) != 0:
		one.Follows = stateMaint
	case admin&adminInheritedDrain != 0:
		one.Follows = stateDrain
	}
	return one, missing
}

// server finds one server among those of the backend.
func (t *Target) server(all []server, name string) (server, error) {
	at := slices.IndexFunc(all, func(s server) bool { return s.Name == name })
	if at >= 0 {
		return all[at], nil
	}
	var names []string
	for _, one := range all {
		names = append(names, one.Name)
	}
	return server{}, jenner.Permanent(fmt.Errorf("backend %s has no server %q%s", t.Backend, name, strict.Hint(name, names)), "")
}

// look finds the servers of those names, and all of the backend.
func (t *Target) look(ctx context.Context, names ...string) (found, all []server, err error) {
	all, err = t.servers(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		one, err := t.server(all, name)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, one)
	}
	return found, all, nil
}

// set makes a server as it is to be, and looks whether it is.
func (t *Target) set(ctx context.Context, is, want server) error {
	var said []string
	if is.Address != want.Address || is.Port != want.Port {
		answer, err := t.ask(ctx, fmt.Sprintf("set server %s/%s addr %s port %d", t.Backend, is.Name, want.Address, want.Port))
		if err != nil {
			return err
		}
		said = append(said, strings.TrimSpace(answer)) // it says something in any case
	}
	if is.State != want.State {
		if err := t.tell(ctx, fmt.Sprintf("set server %s/%s state %s", t.Backend, is.Name, want.State)); err != nil {
			return err
		}
	}
	now, _, err := t.look(ctx, is.Name)
	if err != nil {
		return err
	}
	if now[0].setting() != want.setting() {
		return jenner.Permanent(fmt.Errorf("server %s is %s and was to be %s; HAProxy said: %s", is.Name, now[0].setting(), want.setting(),
			strings.Join(said, "; ")), "")
	}
	return nil
}

// row is one line of `show stat`, by the names of its columns.
type row map[string]string

// number is a column's value; false where it has none.
func (r row) number(column string) (float64, bool) {
	value, err := strconv.ParseFloat(r[column], 64)
	return value, err == nil
}

// stats are the lines of `show stat` for the backend and its servers.
func (t *Target) stats(ctx context.Context) ([]row, error) {
	command := "show stat " + t.Backend + " 6 -1" // 2 is backends, 4 is servers
	answer, err := t.ask(ctx, command)
	if err != nil {
		return nil, err
	}
	text, is := strings.CutPrefix(answer, "# ")
	if !is {
		return nil, t.refusal(command, answer+" ")
	}
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) == 0 {
		return nil, jenner.Permanent(fmt.Errorf("HAProxy's answer to %q cannot be read: %w", command, err), "")
	}
	var rows []row
	for _, fields := range lines[1:] {
		one := row{}
		for i, name := range lines[0] {
			one[name] = fields[i]
		}
		rows = append(rows, one)
	}
	return rows, nil
}
