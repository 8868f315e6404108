// SPDX-License-Identifier: GPL-3.0-or-later

//go:build race

package pondsocket

// The race detector keeps memory of its own for all that was ever touched.
const raceDetector = true
