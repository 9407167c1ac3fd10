package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner/internal/lab"
)

func init() {
	needs := []need{{program: "nginx", debian: lab.NginxDebian}, {program: "git", debian: "git"}}
	scenarios = append(scenarios,
		scenario{id: "S5", name: "drift", files: "s5", experiment: "drift.yaml", rounds: 3, needs: needs, build: buildS5, people: somebodyLoadsIt,
			about: "somebody changes nginx's configuration by hand and loads it; the committed one is put back, loaded and verified"},
		scenario{id: "S5", name: "broken", files: "s5", experiment: "broken.yaml", rounds: 3, needs: needs, build: buildS5,
			about: "somebody leaves a configuration behind that nginx would refuse; the committed one is put back before it matters"},
		scenario{id: "S5", name: "intended", files: "s5", experiment: "intended.yaml", rounds: 3, needs: needs, build: buildS5,
			people: somebodyDeploys, verdict: "NOT_NEEDED",
			about: "the configuration changes through Git and is deployed, again and again; nothing is put back"})
}

// buildS5 starts an nginx whose configuration is the one at the head of a repository.
func buildS5(ctx context.Context, w *world) error {
	port, err := w.Port("web")
	if err != nil {
		return err
	}
	if err := w.git(ctx, w.Dir, "init", "--quiet", "--bare", "-b", "main", "config.git"); err != nil {
		return err
	}
	if err := w.git(ctx, w.Dir, "clone", "--quiet", "config.git", "desk"); err != nil {
		return err
	}
	if err := w.commit(ctx, w.page("welcome")); err != nil {
		return err
	}
	nginx, err := lab.PrepareNginx(w.path("nginx"), w.page("welcome"))
	if err != nil {
		return err
	}
	w.ends(nginx.Stop)
	if err := nginx.Start(ctx, port); err != nil {
		return err
	}
	w.Values["nginx.pid"] = fmt.Sprint(nginx.Process().Pid())
	return nil
}

// page is a configuration that answers with some words.
func (w *world) page(words string) string {
	return lab.NginxConfig(fmt.Sprintf("    server {\n        listen 127.0.0.1:%d;\n        location / { return 200 %q; }\n    }", w.ports["web"], words))
}

// git runs git as somebody who works at this world's repository.
func (w *world) git(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "user.name=lab", "-c", "user.email=lab@localhost", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "GIT_") })
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, said)
	}
	return nil
}

// commit changes the configuration in the repository, as it is to be done.
func (w *world) commit(ctx context.Context, config string) error {
	desk := w.path("desk")
	if err := os.MkdirAll(filepath.Join(desk, "web"), 0o755); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(desk, "web", "nginx.conf"), config); err != nil {
		return err
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "--quiet", "-m", "change"}, {"push", "--quiet", "origin", "HEAD:main"}} {
		if err := w.git(ctx, desk, args...); err != nil {
			return err
		}
	}
	return nil
}

// load lets nginx read its configuration.
func (w *world) load() error {
	var pid int
	if _, err := fmt.Sscan(w.Values["nginx.pid"], &pid); err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGHUP)
}

func (w *world) live() (string, error) {
	raw, err := os.ReadFile(w.path("nginx", "nginx.conf"))
	return string(raw), err
}

// serves tells whether the page says these words.
func (w *world) serves(ctx context.Context, words string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", w.ports["web"]), nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return err == nil && response.StatusCode == http.StatusOK && strings.Contains(string(body), words)
}

// noticed is when somebody sees that the page is still wrong although the file is right. It is longer than the healing
// may take, so that a healing which reloads nothing is not taken for one that does.
const noticed = 10 * time.Second

// somebodyLoadsIt loads the configuration as soon as it was changed by hand, so that the change is felt. Where it is as
// committed again and the page stays wrong, as after the end of a fault that nobody healed, it is loaded once more, late.
func somebodyLoadsIt(ctx context.Context, w *world) error {
	committed, loaded := w.page("welcome"), w.page("welcome")
	var wrong time.Time
	for wait(ctx, 50*time.Millisecond) {
		now, err := w.live()
		if err != nil {
			return err
		}
		switch {
		case now != committed && now != loaded:
			if err := w.load(); err != nil {
				return err
			}
			loaded, wrong = now, time.Time{}
		case now != committed:
		case w.serves(ctx, "welcome"):
			loaded, wrong = committed, time.Time{}
		case wrong.IsZero():
			wrong = time.Now()
		case time.Since(wrong) > noticed:
			wrong = time.Time{}
			if err := w.load(); err != nil {
				return err
			}
		}
	}
	return nil
}

// somebodyDeploys commits one version after the other and deploys each a while later, or at once, and looks whether what
// was deployed stays.
func somebodyDeploys(ctx context.Context, w *world) error {
	deployed, versions := w.page("welcome"), 0
	for wait(ctx, 700*time.Millisecond) {
		versions++
		next := w.page(fmt.Sprintf("welcome %d", versions))
		if err := w.commit(context.WithoutCancel(ctx), next); err != nil {
			return err
		}
		if versions%2 == 0 && !wait(ctx, 1500*time.Millisecond) {
			break
		}
		if err := w.stays(deployed); err != nil {
			return err
		}
		if err := w.deploy(next); err != nil {
			return err
		}
		deployed = next
	}
	if err := w.stays(deployed); err != nil {
		return err
	}
	if versions < 3 {
		return fmt.Errorf("only %d versions were deployed, so that nothing was shown", versions)
	}
	return nil
}

// stays fails where somebody changed what was deployed.
func (w *world) stays(deployed string) error {
	now, err := w.live()
	if err == nil && now != deployed {
		err = fmt.Errorf("what was deployed through Git was changed by somebody: %s stands there, and %s was deployed", answerOf(now), answerOf(deployed))
	}
	return err
}

// answerOf is the line of a configuration that says what the page says.
func answerOf(config string) string {
	_, line, _ := strings.Cut(config, "return ")
	line, _, _ = strings.Cut(line, ";")
	return "`return " + line + "`"
}

// deploy puts a configuration in the live one's place and loads it.
func (w *world) deploy(config string) error {
	path := w.path("nginx", "nginx.conf")
	if err := writeFile(path+".new", config); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return w.load()
}

// wait tells whether the time went by before ctx ended.
func wait(ctx context.Context, long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
