// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"syscall"
	"unsafe"
)

// monotonic is the clock of BENCH_STARTED_NS, in ns.
func monotonic() int64 {
	var now syscall.Timespec
	const clockMonotonic = 1
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}
