package nginx

import (
	"context"

	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("check_config", "Let nginx check its configuration", func() act.Action { return &CheckConfig{} })
}

// CheckConfig fails with nginx's own words where it refuses the configuration that its files hold. It changes nothing.
type CheckConfig struct{}

// ReadOnly marks that nothing is changed.
func (*CheckConfig) ReadOnly() {}

// Do lets nginx check it.
func (*CheckConfig) Do(ctx context.Context, call act.Call) (act.Result, error) {
	t, err := decode(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	if err := t.test(ctx); err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: "nginx accepts " + t.Config}, nil
}
