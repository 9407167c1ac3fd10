// Command shop runs one role of the example shop; `shop --help` explains them. It is not for a shop of your own: it only
// gives Jenner something real to watch and heal.
package main

import (
	"os"

	"github.com/jenner-heal/jenner/examples/shop"
)

func main() { os.Exit(shop.Main(os.Args[1:], os.Stdout, os.Stderr)) }
