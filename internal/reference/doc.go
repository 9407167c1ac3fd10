// Package reference writes the reference pages in docs/reference: actions, faults, probes, notifiers and kinds of targets
// from the providers' tables, kinds of documents from their types, and commands from the command tree. The words come
// from the comments in the source, so that code and page cannot say different things.
//
// It is for those pages only. It is not for explaining ideas, which docs/concepts.md does, and the running program never
// needs it: it reads the source of the module.
package reference
