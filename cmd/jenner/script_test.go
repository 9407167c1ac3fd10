package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts are stories of the command line, one a file.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Cmds: scriptWords, Setup: func(env *testscript.Env) error {
		env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state")
		env.Setenv("GORACE", "atexit_sleep_ms=0")
		env.Setenv("EXAMPLES", absolute("../../examples"))
		return nil
	}})
}
