#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fails unless the functions of the header and the rows of misuse.h are the same.
set -eu
cd "$(dirname "$0")"
header=${HEADER:-../../include/pondsocket.h}

# A declaration begins with POND_API; its name is the word before the first parenthesis.
functions=$(sed -n 's/^POND_API .*[ *]\(pond_[a-z0-9_]*\)(.*/\1/p' "$header" | sort)
rows=$(grep -o 'X(pond_[a-z0-9_]*)' misuse.h | sed 's/X(\(.*\))/\1/' | sort)
declarations=$(grep -c '^POND_API ' "$header")

[ "$(echo "$functions" | wc -l)" -eq "$declarations" ] || {
    echo "rows.sh: $declarations declarations, but other names: $functions" >&2
    exit 1
}
missing=0
for name in $functions; do
    echo "$rows" | grep -qx "$name" || { echo "FAILED rows: no misuse test of $name" >&2 && missing=1; }
done
for name in $rows; do
    echo "$functions" | grep -qx "$name" || { echo "FAILED rows: $name is not in the header" >&2 && missing=1; }
done
[ -z "$(echo "$rows" | uniq -d)" ] || { echo "FAILED rows: twice: $(echo "$rows" | uniq -d)" >&2 && missing=1; }
exit $missing
