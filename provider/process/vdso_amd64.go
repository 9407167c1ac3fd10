package process

import (
	"encoding/binary"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// clockCode answers in place of the kernel's own code in the vDSO: it makes the real system call, and moves what it
// gives. It uses no register that the C ABI wants kept, calls nothing, so that no address of it is left on a stack, and
// writes to the counter alone. Its data follow it.
//
// For a clock in the mask, with now in nanoseconds: now + (now - base of the clock) * rate + shift.
var clockCode = []byte{
	// 0x0 __vdso_clock_gettime, in: edi the clock, rsi the timespec
	0x45, 0x31, 0xc9, // xor r9d,r9d
	// 0x3 ask the kernel: r9d is 0 for clock_gettime, 1 for gettimeofday, 2 for time
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov eax,0xe4
	0x0f, 0x05, // syscall
	0x85, 0xc0, // test eax,eax
	0x75, 0x61, // jne 6f <finish>
	0x83, 0xff, 0x0b, // cmp edi,0xb
	0x77, 0x5c, // ja 6f <finish>
	0x8b, 0x0d, 0xcf, 0x00, 0x00, 0x00, // mov ecx,DWORD PTR [rip+0xcf] # e8 <mask>
	0x0f, 0xa3, 0xf9, // bt ecx,edi
	0x73, 0x51, // jae 6f <finish>
	0x4c, 0x69, 0x06, 0x00, 0xca, 0x9a, 0x3b, // imul r8,QWORD PTR [rsi],0x3b9aca00
	0x4c, 0x03, 0x46, 0x08, // add r8,QWORD PTR [rsi+0x8]
	0x89, 0xfa, // mov edx,edi
	0x48, 0x8d, 0x0d, 0xd6, 0x00, 0x00, 0x00, // lea rcx,[rip+0xd6] # 108 <bases>
	0x4c, 0x89, 0xc0, // mov rax,r8
	0x48, 0x2b, 0x04, 0xd1, // sub rax,QWORD PTR [rcx+rdx*8]
	0x48, 0xf7, 0x2d, 0xb0, 0x00, 0x00, 0x00, // imul QWORD PTR [rip+0xb0] # f0 <rate>
	0x48, 0x0f, 0xac, 0xd0, 0x20, // shrd rax,rdx,0x20
	0x4c, 0x01, 0xc0, // add rax,r8
	0x48, 0x03, 0x05, 0xa9, 0x00, 0x00, 0x00, // add rax,QWORD PTR [rip+0xa9] # f8 <shiftby>
	0x31, 0xd2, // xor edx,edx
	0xb9, 0x00, 0xca, 0x9a, 0x3b, // mov ecx,0x3b9aca00
	0x48, 0xf7, 0xf1, // div rcx
	0x48, 0x89, 0x06, // mov QWORD PTR [rsi],rax
	0x48, 0x89, 0x56, 0x08, // mov QWORD PTR [rsi+0x8],rdx
	0x48, 0x8b, 0x0d, 0x99, 0x00, 0x00, 0x00, // mov rcx,QWORD PTR [rip+0x99] # 100 <counter>
	0xe3, 0x04, // jrcxz 6d <ask+0x6a>
	0xf0, 0x48, 0xff, 0x01, // lock inc QWORD PTR [rcx]
	0x31, 0xc0, // xor eax,eax
	// 0x6f give it the form that was asked for
	0x41, 0x83, 0xf9, 0x01, // cmp r9d,0x1
	0x72, 0x1a, // jb 8f <done>
	0x77, 0x19, // ja 90 <seconds>
	0x85, 0xc0, // test eax,eax
	0x75, 0x14, // jne 8f <done>
	0x48, 0x8b, 0x46, 0x08, // mov rax,QWORD PTR [rsi+0x8]
	0x31, 0xd2, // xor edx,edx
	0xb9, 0xe8, 0x03, 0x00, 0x00, // mov ecx,0x3e8
	0x48, 0xf7, 0xf1, // div rcx
	0x48, 0x89, 0x46, 0x08, // mov QWORD PTR [rsi+0x8],rax
	0x31, 0xc0, // xor eax,eax
	// 0x8f done
	0xc3, // ret
	// 0x90 of time: its timespec is on the stack
	0x48, 0x8b, 0x04, 0x24, // mov rax,QWORD PTR [rsp]
	0x48, 0x83, 0xc4, 0x10, // add rsp,0x10
	0x5f,             // pop rdi
	0x48, 0x85, 0xff, // test rdi,rdi
	0x74, 0xf1, // je 8f <done>
	0x48, 0x89, 0x07, // mov QWORD PTR [rdi],rax
	0xc3, // ret
	// 0xa2 __vdso_gettimeofday, in: rdi the timeval, rsi the timezone
	0x48, 0x85, 0xf6, // test rsi,rsi
	0x74, 0x0f, // je b6 <gettimeofday+0x14>
	0x57,       // push rdi
	0x31, 0xff, // xor edi,edi
	0xb8, 0x60, 0x00, 0x00, 0x00, // mov eax,0x60
	0x0f, 0x05, // syscall
	0x5f,       // pop rdi
	0x85, 0xc0, // test eax,eax
	0x75, 0xd9, // jne 8f <done>
	0x31, 0xc0, // xor eax,eax
	0x48, 0x85, 0xff, // test rdi,rdi
	0x74, 0xd2, // je 8f <done>
	0x48, 0x89, 0xfe, // mov rsi,rdi
	0x31, 0xff, // xor edi,edi
	0x41, 0xb9, 0x01, 0x00, 0x00, 0x00, // mov r9d,0x1
	0xe9, 0x36, 0xff, 0xff, 0xff, // jmp 3 <ask>
	// 0xcd __vdso_time, in: rdi the seconds
	0x57,                   // push rdi
	0x48, 0x83, 0xec, 0x10, // sub rsp,0x10
	0x48, 0x89, 0xe6, // mov rsi,rsp
	0x31, 0xff, // xor edi,edi
	0x41, 0xb9, 0x02, 0x00, 0x00, 0x00, // mov r9d,0x2
	0xe9, 0x21, 0xff, 0xff, 0xff, // jmp 3 <ask>
	0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00, // nop
}

// Where the code is entered, by the function of the vDSO whose place it takes.
var clockEntries = map[string]uint64{
	"__vdso_clock_gettime": 0x00,
	"__vdso_gettimeofday":  0xa2,
	"__vdso_time":          0xcd,
}

// clockData follow the code.
type clockData struct {
	Mask    uint64                  // bit n: clock number n is moved
	Rate    int64                   // by how much faster the clock runs, in 1/2^32
	Shift   int64                   // nanoseconds
	Counter uint64                  // address of the number of answers that were moved; 0 is none
	Bases   [highestClock + 1]int64 // nanoseconds; what each clock showed when the fault was made
	Tag     uint64                  // whose patch it is; the last word of all
}

// highestClock is CLOCK_TAI, the last one that the code moves.
const highestClock = unix.CLOCK_TAI

// clockPatch is the code with its data.
func clockPatch(data clockData) ([]byte, error) {
	return binary.Append(append([]byte(nil), clockCode...), binary.LittleEndian, data)
}

// rateOf is the drift of a clock that runs at factor, as the code wants it.
func rateOf(factor float64) int64 { return int64(math.Round((factor - 1) * (1 << 32))) }

// jump is the instruction at from that goes on at to.
func jump(from, to uint64) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(to-from-5))
}

// jumpSize is its length: a thread whose next instruction is inside of it would run half of another one.
const jumpSize = 5

// clocksOf are the bits of the clocks that a word stands for.
var clocksOf = map[string]uint64{
	"wall":      1<<unix.CLOCK_REALTIME | 1<<unix.CLOCK_REALTIME_COARSE | 1<<unix.CLOCK_REALTIME_ALARM | 1<<unix.CLOCK_TAI,
	"monotonic": 1<<unix.CLOCK_MONOTONIC | 1<<unix.CLOCK_MONOTONIC_COARSE | 1<<unix.CLOCK_MONOTONIC_RAW | 1<<unix.CLOCK_BOOTTIME | 1<<unix.CLOCK_BOOTTIME_ALARM,
}

// clockBases reads all clocks that there are.
func clockBases() (bases [highestClock + 1]int64) {
	for clock := range bases {
		var now unix.Timespec
		if unix.ClockGettime(int32(clock), &now) == nil {
			bases[clock] = now.Sec*int64(time.Second) + now.Nsec
		}
	}
	return bases
}
