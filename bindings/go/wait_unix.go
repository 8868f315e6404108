// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package pondsocket

import (
	"os"
	"syscall"
)

// duplicate makes a file of a copy of the queue's descriptor, for Go's poller.
func duplicate(fd int) (*os.File, error) {
	syscall.ForkLock.RLock()
	copied, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(copied)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(copied), "pondsocket queue"), nil
}
