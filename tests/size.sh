#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The shared library, stripped and with TLS, stays within its budget and exports nothing but pond_*.
set -eu
library=$1
budget=2000000
copy=$(mktemp)
trap 'rm -f "$copy"' EXIT
strip -o "$copy" "$library"
size=$(wc -c <"$copy")
echo "stripped $(basename "$library"): $size bytes, budget $budget"
passed=0 failed=0
if [ "$size" -le "$budget" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
foreign=$(nm -D --defined-only "$library" | awk '$2 != "A" && $3 !~ /^pond_/ {print $3}')
if [ -z "$foreign" ]; then passed=$((passed + 1)); else
    echo "exported though not pond_*: $foreign"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
