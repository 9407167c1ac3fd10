package git

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/telemetry"
)

const (
	oldConf = "listen 80;\n"
	newConf = "listen 8080;\n"
	bad     = "listen 666;\n"
)

// shelf is a working clone in which people commit, and a live file.
type shelf struct {
	t      *testing.T
	work   string
	live   string
	params jenner.Params
}

// shelved is a repository with web/nginx.conf at main, and the same content live.
func shelved(t *testing.T, options ...string) *shelf {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is not installed; apt-get install git")
	}
	dir := t.TempDir()
	s := &shelf{t: t, work: filepath.Join(dir, "work"), live: filepath.Join(dir, "etc", "nginx.conf")}
	if err := errors.Join(os.Mkdir(s.work, 0o755), os.Mkdir(filepath.Dir(s.live), 0o755)); err != nil {
		t.Fatal(err)
	}
	s.git(append([]string{"init", "--quiet", "-b", "main"}, options...)...)
	s.params = jenner.Params{"repository": jenner.Raw(s.work), "path": jenner.Raw("web/nginx.conf"), "file": jenner.Raw(s.live),
		"cache": jenner.Raw(filepath.Join(dir, "cache"))}
	s.commit(oldConf)
	s.write(oldConf)
	return s
}

func (s *shelf) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=lab", "-c", "user.email=lab@localhost", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = s.work
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GIT_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *shelf) commit(text string) {
	s.t.Helper()
	path := filepath.Join(s.work, "web", "nginx.conf")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		s.t.Fatal(err)
	}
	s.git("add", "-A")
	s.git("commit", "--quiet", "--allow-empty", "-m", "change")
}

func (s *shelf) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.live, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) holds(want string) {
	s.t.Helper()
	if got, err := os.ReadFile(s.live); err != nil || string(got) != want {
		s.t.Errorf("the live file holds %q, %v; want %q", got, err, want)
	}
}

func (s *shelf) target() jenner.Target {
	return jenner.Target{Kind: "gitfile", Name: "conf", Dir: filepath.Dir(s.work), Params: s.params}
}

func (s *shelf) service() jenner.Service {
	return jenner.Service{Name: "web", Targets: []jenner.Target{{Kind: "process", Name: "web"}, s.target()}}
}

// remote makes a bare repository of what there is, and the target one of its URL.
func (s *shelf) remote() {
	s.t.Helper()
	bare := filepath.Join(filepath.Dir(s.work), "bare.git")
	s.git("clone", "--quiet", "--bare", s.work, bare)
	s.git("remote", "add", "origin", bare)
	s.params["repository"] = jenner.Raw("file://" + bare)
}

func drift(change func(*ProbeDrift)) *ProbeDrift {
	probe := &ProbeDrift{Behind: behindOK, Versions: 20, FetchEvery: jenner.Duration(1 << 62)}
	if change != nil {
		change(probe)
	}
	return probe
}

func (s *shelf) asks(probe *ProbeDrift, want telemetry.Outcome, parts ...string) {
	s.t.Helper()
	got := probe.Probe(s.t.Context(), telemetry.ProbeCall{Service: s.service()})
	if got.Outcome != want {
		s.t.Errorf("the probe says %+v, want %s", got, want)
	}
	for _, part := range parts {
		if !strings.Contains(got.Message, part) {
			s.t.Errorf("message %q does not tell %q", got.Message, part)
		}
	}
}

func TestProbeDriftConforms(t *testing.T) {
	call := func(s *shelf) telemetry.ProbeCall { return telemetry.ProbeCall{Service: s.service()} }
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) { return drift(nil), call(shelved(t)) },
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			s := shelved(t)
			s.write(bad)
			return drift(nil), call(s)
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { silent.Close() })
			s := shelved(t)
			s.params["repository"] = jenner.Raw("git://" + silent.Addr().String() + "/nothing.git")
			return drift(nil), call(s)
		},
		Wrong: map[string]telemetry.Probe{
			"behind":   drift(func(p *ProbeDrift) { p.Behind = "deploy" }),
			"versions": drift(func(p *ProbeDrift) { p.Versions = 0 }),
		},
	})
}

func TestDriftIsTold(t *testing.T) {
	s := shelved(t)
	s.asks(drift(nil), telemetry.OK)
	s.write("listen 666;\nserver a;\nserver b;\nserver c;\n")
	s.asks(drift(nil), telemetry.Failed, "no committed version", "line 1: -listen 80; +listen 666; +server a; +… 2 more")
	if err := os.Remove(s.live); err != nil {
		t.Fatal(err)
	}
	s.asks(drift(nil), telemetry.Failed, "is not there")
}

// What was committed and is not deployed yet is no drift; neither is what was deployed.
func TestAnIntendedChangeIsNoDrift(t *testing.T) {
	s := shelved(t)
	s.commit(newConf)
	s.asks(drift(nil), telemetry.OK)
	s.asks(drift(func(p *ProbeDrift) { p.Behind = behindDrift }), telemetry.Failed, "1 before the newest", "-listen 8080; +listen 80;")
	s.write(newConf)
	s.asks(drift(nil), telemetry.OK)
	s.write(bad)
	s.asks(drift(nil), telemetry.Failed)
}

// What was only ever on another branch, and what lies too far back, was not deployed by anybody.
func TestOtherVersionsAreDrift(t *testing.T) {
	s := shelved(t)
	s.git("checkout", "--quiet", "-b", "try")
	s.commit(bad)
	s.write(bad)
	s.params["revision"] = jenner.Raw("main")
	s.asks(drift(nil), telemetry.Failed)
	s.params["revision"] = jenner.Raw("try")
	s.asks(drift(nil), telemetry.OK)

	s = shelved(t)
	for _, text := range []string{"1\n", "2\n", "3\n"} {
		s.commit(text)
	}
	s.asks(drift(func(p *ProbeDrift) { p.Versions = 4 }), telemetry.OK)
	s.asks(drift(func(p *ProbeDrift) { p.Versions = 3 }), telemetry.Failed)
}

// A change that comes through a merge is a version like any other.
func TestMergedVersionsAreKnown(t *testing.T) {
	s := shelved(t)
	s.git("checkout", "--quiet", "-b", "feature")
	s.commit(newConf)
	s.git("checkout", "--quiet", "main")
	s.git("merge", "--quiet", "--no-ff", "-m", "merge", "feature")
	s.commit("listen 9090;\n")
	s.write(newConf)
	s.asks(drift(nil), telemetry.OK)
	s.write(oldConf)
	s.asks(drift(nil), telemetry.OK)
}

func TestKindsOfRepositories(t *testing.T) {
	t.Run("names of 256 bits", func(t *testing.T) {
		s := shelved(t, "--object-format=sha256")
		s.asks(drift(nil), telemetry.OK)
		s.commit(newConf)
		s.asks(drift(nil), telemetry.OK)
		s.write(bad)
		s.asks(drift(nil), telemetry.Failed)
	})
	t.Run("bare", func(t *testing.T) {
		s := shelved(t)
		s.remote()
		s.params["repository"] = jenner.Raw("bare.git")
		s.asks(drift(nil), telemetry.OK)
		s.write(bad)
		s.asks(drift(nil), telemetry.Failed)
	})
	t.Run("another branch is HEAD over there", func(t *testing.T) {
		s := shelved(t)
		s.git("checkout", "--quiet", "-b", "trunk")
		s.commit(newConf)
		s.remote()
		s.write(newConf)
		s.asks(drift(nil), telemetry.OK)
	})
	t.Run("a clone's remote", func(t *testing.T) {
		s := shelved(t)
		s.remote()
		clone := filepath.Join(filepath.Dir(s.work), "clone")
		s.git("clone", "--quiet", filepath.Join(filepath.Dir(s.work), "bare.git"), clone)
		s.params["repository"], s.params["revision"] = jenner.Raw("clone"), jenner.Raw("origin/main")
		s.asks(drift(nil), telemetry.OK)
		s.commit(newConf)
		s.git("push", "--quiet", "origin", "main")
		s.write(newConf)
		s.asks(drift(nil), telemetry.OK)
		s.write(bad)
		s.asks(drift(nil), telemetry.Failed, "-listen 8080;")
	})
}

// Pushed and deployed a moment ago, and the mirror does not know it yet: it is asked for before anything is said.
func TestAFreshPushIsNoDrift(t *testing.T) {
	s := shelved(t)
	s.remote()
	probe := drift(nil)
	s.asks(probe, telemetry.OK)
	s.commit(newConf)
	s.git("push", "--quiet", "origin", "main")
	s.write(newConf)
	s.asks(probe, telemetry.OK)
	s.write(bad)
	s.asks(probe, telemetry.Failed, "-listen 8080; +listen 666;")
}

// Nobody can tell: that is unknown, never drift.
func TestWhatCannotBeAskedIsUnknown(t *testing.T) {
	s := shelved(t)
	s.remote()
	probe := drift(nil)
	s.asks(probe, telemetry.OK)
	if err := os.Rename(filepath.Join(filepath.Dir(s.work), "bare.git"), filepath.Join(filepath.Dir(s.work), "gone.git")); err != nil {
		t.Fatal(err)
	}
	s.write(bad)
	s.asks(probe, telemetry.Unknown, "could not be fetched")

	s = shelved(t)
	s.params["path"] = jenner.Raw("web/other.conf")
	s.asks(drift(nil), telemetry.Unknown, "no file web/other.conf")
	s = shelved(t)
	s.params["revision"] = jenner.Raw("nowhere")
	s.asks(drift(nil), telemetry.Unknown, "nowhere")
	s = shelved(t)
	s.params["repository"] = jenner.Raw(filepath.Join(s.work, "web")) // inside of a repository, and not one
	s.asks(drift(nil), telemetry.Unknown, "not a git repository")
	s.asks(drift(func(p *ProbeDrift) { p.Target = "cnf" }), telemetry.Unknown, `no target "cnf"`, "conf")
}

// A hook's environment names another repository; the target's own is meant.
func TestTheEnvironmentOfAHookIsNotHeeded(t *testing.T) {
	other := shelved(t)
	other.commit(bad)
	s := shelved(t)
	t.Setenv("GIT_DIR", filepath.Join(other.work, ".git"))
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other.work, ".git", "index"))
	s.asks(drift(func(p *ProbeDrift) { p.Behind = behindDrift }), telemetry.OK)
}

func TestWrongTargets(t *testing.T) {
	for name, params := range map[string]jenner.Params{
		"no repository": {"path": jenner.Raw("a"), "file": jenner.Raw("b")},
		"an option":     {"repository": jenner.Raw("--upload-pack=x"), "path": jenner.Raw("a"), "file": jenner.Raw("b")},
		"no path":       {"repository": jenner.Raw("r"), "file": jenner.Raw("b")},
		"outside":       {"repository": jenner.Raw("r"), "path": jenner.Raw("../a"), "file": jenner.Raw("b")},
		"no file":       {"repository": jenner.Raw("r"), "path": jenner.Raw("a")},
		"a range":       {"repository": jenner.Raw("r"), "path": jenner.Raw("a"), "file": jenner.Raw("b"), "revision": jenner.Raw("a:b")},
	} {
		if _, err := decode(jenner.Target{Kind: "gitfile", Params: params}); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
	for url, want := range map[string]bool{"https://h/r.git": true, "git@h:r.git": true, "file:///r": true, "h:r": true,
		"/srv/r.git": false, "../r": false, "./a:b": false, "r.git": false} {
		if got := (&TargetGitfile{Repository: url}).isURL(); got != want {
			t.Errorf("%s is taken for a URL: %v", url, got)
		}
	}
}

func restoring(change func(*Restore)) func() act.Action {
	return func() act.Action {
		action := &Restore{Behind: behindKeep, Versions: 20}
		if change != nil {
			change(action)
		}
		return action
	}
}

func TestRestoreConforms(t *testing.T) {
	for name, live := range map[string]func(s *shelf){
		"changed by hand": func(s *shelf) { s.write(bad) },
		"gone":            func(s *shelf) { os.Remove(s.live) },
		"from elsewhere":  func(s *shelf) { s.remote(); s.write(bad) },
	} {
		t.Run(name, func(t *testing.T) {
			actiontest.Run(t, func(t *testing.T) actiontest.World {
				s := shelved(t)
				live(s)
				return actiontest.World{Action: restoring(nil), Call: act.Call{Target: s.target()},
					Meddle: func(*testing.T) { s.write("theirs\n") }}
			})
		})
	}
	t.Run("as it is to be", func(t *testing.T) {
		actiontest.Run(t, func(t *testing.T) actiontest.World {
			s := shelved(t)
			return actiontest.World{Action: restoring(nil), Call: act.Call{Target: s.target()}, Already: true,
				Meddle: func(*testing.T) { s.write("theirs\n") }}
		})
	})
}

func (s *shelf) restore(action act.Action) (act.Result, act.Call) {
	s.t.Helper()
	call := act.Call{Target: s.target()}
	var err error
	if call.Checkpoint, err = action.(act.Checkpointer).Checkpoint(s.t.Context(), call); err != nil {
		s.t.Fatal(err)
	}
	result, err := action.Do(s.t.Context(), call)
	if err != nil {
		s.t.Fatal(err)
	}
	return result, call
}

// A version that waits for its deployment is deployed by whoever deploys.
func TestRestoreLeavesAnOlderVersion(t *testing.T) {
	s := shelved(t)
	s.commit(newConf)
	if result, _ := s.restore(restoring(nil)()); result.Changed || !strings.Contains(result.Summary, "waits for its deployment") {
		t.Errorf("the result is %+v", result)
	}
	s.holds(oldConf)
	if result, _ := s.restore(restoring(func(r *Restore) { r.Behind = behindDeploy })()); !result.Changed {
		t.Errorf("the result is %+v", result)
	}
	s.holds(newConf)
}

// What was pushed since the drift was seen is what the file must become.
func TestRestoreFetchesFirst(t *testing.T) {
	s := shelved(t)
	s.remote()
	s.write(bad)
	s.asks(drift(nil), telemetry.Failed)
	s.commit(newConf)
	s.git("push", "--quiet", "origin", "main")
	s.restore(restoring(nil)())
	s.holds(newConf)
}

func TestRestoreKeepsModeAndLink(t *testing.T) {
	s := shelved(t)
	real := filepath.Join(t.TempDir(), "real.conf")
	if err := errors.Join(os.Rename(s.live, real), os.Symlink(real, s.live), os.WriteFile(real, []byte(bad), 0o600), os.Chmod(real, 0o600)); err != nil {
		t.Fatal(err)
	}
	result, _ := s.restore(restoring(nil)())
	s.holds(oldConf)
	info, err := os.Lstat(s.live)
	behind, behindErr := os.Stat(real)
	if errors.Join(err, behindErr) != nil || info.Mode()&os.ModeSymlink == 0 || behind.Mode() != 0o600 {
		t.Errorf("the link is %v, the file behind it %v, %v %v", info, behind, err, behindErr)
	}
	if !strings.Contains(result.Summary, "-listen 80; +listen 666;") {
		t.Errorf("the summary is %q", result.Summary)
	}
}

// Who writes the file after it was read is not overwritten unseen.
func TestALiveFileThatChangesMeanwhile(t *testing.T) {
	s := shelved(t)
	now, err := readLive(s.live)
	if err != nil {
		t.Fatal(err)
	}
	s.write("theirs, and longer\n")
	if err := now.put([]byte(bad), 0o644); !errors.Is(err, errMeanwhile) {
		t.Errorf("error is %v", err)
	}
	s.holds("theirs, and longer\n")
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.live), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What somebody wrote after the effect is kept by the undo.
func TestUndoKeepsWhatSomebodyWrote(t *testing.T) {
	s := shelved(t)
	s.write(bad)
	action := restoring(nil)()
	_, call := s.restore(action)
	s.write("theirs\n")
	result, err := action.(act.Undoer).Undo(t.Context(), call)
	if err != nil || result.Changed {
		t.Errorf("the undo says %+v, %v", result, err)
	}
	s.holds("theirs\n")
}

// After a crash, what is neither as before nor as it was to become is for a person.
func TestNobodyCanTellAfterAThirdChange(t *testing.T) {
	s := shelved(t)
	s.write(bad)
	action := restoring(nil)()
	_, call := s.restore(action)
	s.write("theirs\n")
	if got, err := action.(act.Resolver).Happened(t.Context(), call); got != act.HappenedUnknown || err != nil {
		t.Errorf("Happened is %s, %v", got, err)
	}
	s.write(oldConf)
	s.commit(newConf) // and the repository went on
	if got, err := action.(act.Resolver).Happened(t.Context(), call); got != act.HappenedDone || err != nil {
		t.Errorf("Happened is %s, %v", got, err)
	}
}
