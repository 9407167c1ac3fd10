package shop

import (
	"flag"
	"fmt"
	"strings"
)

// overview is what `shop --help` prints.
func overview() string {
	var b strings.Builder
	b.WriteString(`shop is a small shop made of seven processes, to try monitoring, chaos and healing on.

Usage: shop ROLE [flags]

Roles, each a process of its own:
`)
	for _, r := range roles() {
		fmt.Fprintf(&b, "  %-10s port %d  %s\n", r.name, r.port, r.about)
	}
	fmt.Fprintf(&b, `
An order goes load -> gateway -> checkout -> partner, inventory, payments -> ledger. Checkout calls the partner at
port %d, where a proxy may stand; without one, start it with --partner http://127.0.0.1:%d.

Every role answers GET /healthz (it runs), GET /readyz (it could serve; if not, what is missing) and GET /metrics.

Start a shop, and order something:
  shop ledger --book book.txt &
  shop payments & shop inventory & shop partner &
  shop checkout --partner http://127.0.0.1:%d --flags flags.json &
  shop gateway &
  curl -d '{"id":"first","sku":"mug","quantity":1}' http://127.0.0.1:%d/orders

Serve without the partner:  echo '{"partner_cached": true}' > flags.json
Keep it busy:               shop load --rate 20 & curl http://127.0.0.1:%d/stats

`+"`shop ROLE --help`"+` lists a role's flags.
`, partnerProxyPort, partnerPort, partnerPort, gatewayPort, loadPort)
	return b.String()
}

// roleHelp is what `shop ROLE --help` prints.
func roleHelp(r role, fs *flag.FlagSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "shop %s listens on port %d: %s.\n\nFlags:\n", r.name, r.port, r.about)
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, "  %-24s %s", strings.TrimSpace("--"+f.Name+" "+value), usage)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(&b, " (default %s)", f.DefValue)
		}
		b.WriteByte('\n')
	})
	return b.String()
}
