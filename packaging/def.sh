#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The module definition file of the Windows library, made of the header: def.sh >packaging/pondsocket.def
set -eu
cd "$(dirname "$0")/.."
echo "; Made by packaging/def.sh from include/pondsocket.h: what pondsocket.dll exports."
echo "LIBRARY pondsocket"
echo "EXPORTS"
sed -n 's/^POND_API .*[ *]\(pond_[a-z0-9_]*\)(.*/    \1/p' include/pondsocket.h | LC_ALL=C sort
