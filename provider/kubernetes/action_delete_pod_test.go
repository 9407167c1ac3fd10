package kubernetes

import (
	"testing"

	"github.com/jenner-heal/jenner"
)

// TestPodsThatServeMayStopServing: that all pods serve may pass; that the one that is named is not there does not.
func TestPodsThatServeMayStopServing(t *testing.T) {
	for _, test := range []struct {
		action DeletePod
		next   jenner.What
	}{
		{DeletePod{Count: 1}, jenner.TryAgain},
		{DeletePod{Count: 1, Pod: "shop-1"}, jenner.NeverMind},
	} {
		err := test.action.judge(nil, 2, jenner.TargetRef{Kind: kindDeployment, Name: "shop"})
		if err == nil || jenner.NextAfter(err) != test.next {
			t.Errorf("%+v: %v is followed by %v, want %v", test.action, err, jenner.NextAfter(err), test.next)
		}
	}
}
