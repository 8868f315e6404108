// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !unix

package pondsocket

import (
	"errors"
	"os"
)

// duplicate is never asked: without a descriptor the pump waits in C.
func duplicate(int) (*os.File, error) { return nil, errors.ErrUnsupported }
