// Package shop is a small real system: seven processes that take orders over HTTP and can be broken in the ways real
// services break. It is what the demo and the tests observe, hurt and heal.
//
//	load ──▶ gateway ──▶ checkout ──▶ partner    a third party, reached through a proxy that can be slowed down
//	                        ├───────▶ inventory
//	                        └───────▶ payments ──pool──▶ ledger ──▶ book, one line an order
//
// Every role is an ordinary process: it has a pidfile, obeys SIGTERM, answers /healthz, /readyz and /metrics, and
// dies when killed. Nothing in it knows that faults exist, so what heals the shop would heal any other system like it.
//
// It is not a shop to sell with: there is no authentication, so it listens on loopback addresses only, and the ledger
// keeps every order id in memory. It is not a mock either: nothing here pretends to fail or to recover.
package shop
