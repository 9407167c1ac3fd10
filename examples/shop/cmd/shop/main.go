// Command shop runs one role of the example shop; `shop --help` explains them.
package main

import (
	"os"

	"github.com/jenner-heal/jenner/examples/shop"
)

func main() { os.Exit(shop.Main(os.Args[1:], os.Stdout, os.Stderr)) }
