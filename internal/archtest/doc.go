// Package archtest holds the shape of the program as tests: who may import whom, how things are called so that they can
// be guessed, how large a file or a function may be, and what every package must say of itself. Each rule has its reason
// beside it, and a failure names the file, the line and the reason.
//
// It reads the source as text and syntax only, so that it also speaks while something does not compile. It is not for
// what the program does; that stands in the tests of each package.
package archtest
