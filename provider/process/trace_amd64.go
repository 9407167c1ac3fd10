package process

import "golang.org/x/sys/unix"

// traceUnsupported is why processes of this machine cannot be traced; nil where they can.
var traceUnsupported error

// auditArch is AUDIT_ARCH_X86_64 of linux/audit.h: the ABI whose numbers the calls have.
const auditArch = 0xc000003e

// position is what a stopped thread runs next, and the top of its stack.
func position(tid int) (code, stack uint64, err error) {
	var regs unix.PtraceRegs
	err = unix.PtraceGetRegs(tid, &regs)
	return regs.Rip, regs.Rsp, err
}

// refuseCall lets a thread that stopped at the entry of a call leave it with the error, without the call being made. It
// needs nothing more at the exit: the kernel leaves the result alone where the number is -1, so that the program gets
// this error even if the tracer dies now.
func refuseCall(tid int, with unix.Errno) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0)
	regs.Rax = -uint64(with)
	return unix.PtraceSetRegs(tid, &regs)
}

// answerCall sets the error that a call leaves with, at its exit.
func answerCall(tid int, with unix.Errno) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Rax = -uint64(with)
	return unix.PtraceSetRegs(tid, &regs)
}

// none is the place of an argument that a call does not have.
const none = -1

// argument says where a call names a file: by a descriptor, or by a path that starts from a folder's descriptor.
type argument struct{ descriptor, folder, path int }

func byDescriptor(at int) argument       { return argument{at, none, none} }
func byPath(at int) argument             { return argument{none, none, at} }
func byPathFrom(folder, at int) argument { return argument{none, folder, at} }

// callFamilies are the system calls, by the word that people write. A call that works on two files stands there twice.
var callFamilies = map[string]map[uint64][]argument{
	"read": {
		unix.SYS_READ: {byDescriptor(0)}, unix.SYS_PREAD64: {byDescriptor(0)}, unix.SYS_READV: {byDescriptor(0)},
		unix.SYS_PREADV: {byDescriptor(0)}, unix.SYS_PREADV2: {byDescriptor(0)}, unix.SYS_SENDFILE: {byDescriptor(1)},
		unix.SYS_COPY_FILE_RANGE: {byDescriptor(0)}, unix.SYS_SPLICE: {byDescriptor(0)},
		unix.SYS_GETDENTS64: {byDescriptor(0)},
	},
	"write": {
		unix.SYS_WRITE: {byDescriptor(0)}, unix.SYS_PWRITE64: {byDescriptor(0)}, unix.SYS_WRITEV: {byDescriptor(0)},
		unix.SYS_PWRITEV: {byDescriptor(0)}, unix.SYS_PWRITEV2: {byDescriptor(0)}, unix.SYS_SENDFILE: {byDescriptor(0)},
		unix.SYS_COPY_FILE_RANGE: {byDescriptor(2)}, unix.SYS_SPLICE: {byDescriptor(2)},
		unix.SYS_FALLOCATE: {byDescriptor(0)},
	},
	"fsync": {
		unix.SYS_FSYNC: {byDescriptor(0)}, unix.SYS_FDATASYNC: {byDescriptor(0)}, unix.SYS_SYNC_FILE_RANGE: {byDescriptor(0)},
		unix.SYS_SYNCFS: {byDescriptor(0)},
	},
	"open": {
		unix.SYS_OPEN: {byPath(0)}, unix.SYS_CREAT: {byPath(0)}, unix.SYS_OPENAT: {byPathFrom(0, 1)},
		unix.SYS_OPENAT2: {byPathFrom(0, 1)},
	},
	"truncate": {unix.SYS_TRUNCATE: {byPath(0)}, unix.SYS_FTRUNCATE: {byDescriptor(0)}},
	"rename": {
		unix.SYS_RENAME: {byPath(0), byPath(1)}, unix.SYS_RENAMEAT: {byPathFrom(0, 1), byPathFrom(2, 3)},
		unix.SYS_RENAMEAT2: {byPathFrom(0, 1), byPathFrom(2, 3)},
	},
	"remove": {
		unix.SYS_UNLINK: {byPath(0)}, unix.SYS_UNLINKAT: {byPathFrom(0, 1)}, unix.SYS_RMDIR: {byPath(0)},
	},
	"stat": {
		unix.SYS_STAT: {byPath(0)}, unix.SYS_LSTAT: {byPath(0)}, unix.SYS_FSTAT: {byDescriptor(0)},
		unix.SYS_NEWFSTATAT: {byPathFrom(0, 1)}, unix.SYS_STATX: {byPathFrom(0, 1)}, unix.SYS_ACCESS: {byPath(0)},
		unix.SYS_FACCESSAT: {byPathFrom(0, 1)}, unix.SYS_FACCESSAT2: {byPathFrom(0, 1)},
	},
	"mkdir": {unix.SYS_MKDIR: {byPath(0)}, unix.SYS_MKDIRAT: {byPathFrom(0, 1)}},
}
