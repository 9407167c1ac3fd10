package lab

import (
	"strings"
	"testing"
)

func TestAlertmanagerStartsAndEnds(t *testing.T) {
	a, err := StartAlertmanager(limited(t), t.TempDir(), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
	if err != nil {
		t.Fatal(err)
	}
	first := a.process
	for range 2 {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	}
	ended(t, first, a.Port)
	if err := a.Start(limited(t)); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	ended(t, a.process, a.Port)
}

func TestAnAlertmanagerThatCannotStartSaysWhy(t *testing.T) {
	if _, err := StartAlertmanager(limited(t), t.TempDir(), "route: {receiver: nobody}\n"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("the error is %v; it must say what Alertmanager said", err)
	}
}
